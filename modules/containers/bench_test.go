package containers

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/moby/moby/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

// BenchmarkLife compares create, start, wait and remove with the same steps of
// a bare containerd client on the same engine, for the same specification, in
// turns, and reports the ratio of the medians. The specification alone, with
// Docker's confinement, makes runc take 50 ms more than containerd's default:
// 30 of them to compile the seccomp profile.
func BenchmarkLife(b *testing.B) {
	f := newFixture(b, nil)
	img, err := f.engine.Client().GetImage(b.Context(), "docker.io/library/box:latest")
	require.NoError(b, err)
	id := f.create(b, "", nil, "true")
	f.startAndWait(b, id)
	loaded, err := f.engine.Client().LoadContainer(b.Context(), id)
	require.NoError(b, err)
	spec, err := loaded.Spec(b.Context())
	require.NoError(b, err)
	var ours, bare []time.Duration
	for i := 0; b.Loop(); i++ {
		begun := time.Now()
		bareLife(b, f, img, fmt.Sprintf("bare-%d", i), spec)
		middle := time.Now()
		ourLife(b, f)
		bare, ours = append(bare, middle.Sub(begun)), append(ours, time.Since(middle))
	}
	b.ReportMetric(float64(median(ours).Microseconds())/1000, "ours-ms")
	b.ReportMetric(float64(median(bare).Microseconds())/1000, "bare-ms")
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "ratio")
}

func ourLife(b testing.TB, f *fixture) {
	ctx := b.Context()
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: "none"}}
	c.Image, c.Cmd = "box", []string{"true"}
	resp, err := f.Create(ctx, CreateOptions{Config: c})
	require.NoError(b, err)
	wait, err := f.Wait(ctx, resp.ID, container.WaitConditionNextExit)
	require.NoError(b, err)
	require.NoError(b, f.Service.Start(ctx, resp.ID))
	<-wait
	require.NoError(b, f.Remove(ctx, resp.ID, RemoveOptions{}))
}

func bareLife(b testing.TB, f *fixture, img client.Image, id string, spec *specs.Spec) {
	ctx := b.Context()
	name, options := f.engine.Runtime()
	c, err := f.engine.Client().NewContainer(ctx, id, client.WithImage(img), client.WithSnapshotter(f.engine.Snapshotter()),
		client.WithNewSnapshot(id, img), client.WithRuntime(name, options),
		client.WithSpec(spec, oci.WithCgroup(f.engine.CgroupParent()+"/"+id)))
	require.NoError(b, err)
	task, err := c.NewTask(ctx, cio.NewCreator(cio.WithStreams(nil, io.Discard, io.Discard)))
	require.NoError(b, err)
	wait, err := task.Wait(ctx)
	require.NoError(b, err)
	require.NoError(b, task.Start(ctx))
	<-wait
	_, err = task.Delete(ctx)
	require.NoError(b, err)
	require.NoError(b, c.Delete(ctx, client.WithSnapshotCleanup))
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// BenchmarkList lists 1000 containers that were created, and reports what the
// 1000th create cost against the 10th: medians of thirty around them.
func BenchmarkList(b *testing.B) {
	f := newFixture(b, nil)
	var creates []time.Duration
	for i := range 1005 {
		begun := time.Now()
		f.create(b, fmt.Sprintf("c%d", i), nil, "true")
		creates = append(creates, time.Since(begun))
	}
	for b.Loop() {
		list, err := f.List(context.Background(), ListOptions{All: true})
		require.NoError(b, err)
		require.Len(b, list, 1005)
	}
	b.ReportMetric(float64(median(creates[975:1005]))/float64(median(creates[5:35])), "1000th/10th")
	b.ReportMetric(float64(median(creates[5:35]).Microseconds())/1000, "create-ms")
}

// At most 2 ms: the hooks of ten plugins that change something, their undoing,
// and all checks, on a body as compose sends it.
func BenchmarkDryRunWithTenPlugins(b *testing.B) {
	var all []*undoer
	for i := range 10 {
		all = append(all, &undoer{name: fmt.Sprint("P", i), undone: new(journal)})
	}
	f := newFixture(b, chained(b, all...))
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{Binds: []string{"/srv/data:/data"}}}
	c.Image, c.Cmd, c.Labels = "box", []string{"true"}, map[string]string{}
	for i := range 20 {
		c.Env = append(c.Env, fmt.Sprintf("VARIABLE_%d=value of some length %d", i, i))
		c.Labels[fmt.Sprintf("com.docker.compose.label-%d", i)] = "a value"
	}
	b.ResetTimer()
	for b.Loop() {
		r, err := f.DryRun(b.Context(), CreateOptions{Config: c})
		require.NoError(b, err)
		require.Len(b, r.Explain.Create, 10)
	}
}
