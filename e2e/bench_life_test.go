package e2e

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// BenchmarkLifeOfAContainer measures create, start, wait and remove through
// the API against the same with a bare containerd client, on the same shim and
// runc: with the specification that our container has, and with containerd's
// default, which has no seccomp profile for runc to compile, fewer mounts and
// no limits of devices. The bare client's containerd is the stock one: what is
// embedded has no socket.
func BenchmarkLifeOfAContainer(b *testing.B) {
	for _, e := range []engine{external, embedded} {
		b.Run(string(e), func(b *testing.B) {
			stock := ownDaemon(b, built.daemon, external)
			stock.load(b, "box")
			d := stock
			if e == embedded {
				d = ownDaemon(b, built.daemon, embedded)
				d.load(b, "box")
			}
			bare := newBareClient(b, stock)
			same, plain := bare.specOf(b, stock), bare.defaultSpec()
			var ours, sameSpec, defaultSpec []time.Duration
			measure := func(into *[]time.Duration, life func()) {
				begun := time.Now()
				life()
				*into = append(*into, time.Since(begun))
			}
			for b.Loop() {
				for range 30 {
					measure(&ours, func() { d.life(b) })
					measure(&sameSpec, func() { bare.life(b, same) })
					measure(&defaultSpec, func() { bare.life(b, plain) })
				}
			}
			b.ReportMetric(milliseconds(median(ours)), "daemon-ms")
			b.ReportMetric(milliseconds(median(sameSpec)), "bare-same-spec-ms")
			b.ReportMetric(milliseconds(median(defaultSpec)), "bare-default-spec-ms")
			b.ReportMetric(ratio(ours, sameSpec), "ratio-same-spec(≤1.15)")
			b.ReportMetric(ratio(ours, defaultSpec), "ratio-default-spec(≤1.15)")
		})
	}
}

// createTrue makes a container that ends at once.
func (d *daemon) createTrue(b testing.TB) string {
	res, err := d.client.ContainerCreate(context.Background(), client.ContainerCreateOptions{
		Config: &container.Config{Image: "box", Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	require.NoError(b, err)
	return res.ID
}

// runToEnd starts a container and waits for its end.
func (d *daemon) runToEnd(b testing.TB, id string) {
	ctx := context.Background()
	wait := d.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	_, err := d.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
	require.NoError(b, err)
	require.Zero(b, exitCode(b, wait))
}

// life creates a container, starts it, waits for its end and removes it.
func (d *daemon) life(b testing.TB) {
	id := d.createTrue(b)
	d.runToEnd(b, id)
	_, err := d.client.ContainerRemove(context.Background(), id, client.ContainerRemoveOptions{})
	require.NoError(b, err)
}

// bareClient does the same without a daemon of ours.
type bareClient struct {
	*containerd.Client
	ctx   context.Context
	image containerd.Image
	opts  []containerd.NewContainerOpts
	n     int
}

func newBareClient(b testing.TB, d *daemon) *bareClient {
	c, err := containerd.New(d.containerdSocket(), containerd.WithDefaultPlatform(platforms.All)) // the image names none
	require.NoError(b, err)
	b.Cleanup(func() { c.Close() })
	ctx := namespaces.WithNamespace(context.Background(), "bare")
	img, err := boxImage()
	require.NoError(b, err)
	images, err := c.Import(ctx, archive(b, "docker.io/library/box:latest", img))
	require.NoError(b, err)
	image := containerd.NewImage(c, images[0])
	require.NoError(b, image.Unpack(ctx, "overlayfs"))
	shim, runc := d.programs(b)
	return &bareClient{Client: c, ctx: ctx, image: image, opts: []containerd.NewContainerOpts{
		containerd.WithRuntime(shim, &options.Options{BinaryName: runc, Root: filepath.Join(d.root, "bare-runc")}),
	}}
}

// programs are the shim and the runc of a daemon.
func (d *daemon) programs(b testing.TB) (shim, runc string) {
	bin := filepath.Join(d.root, "d", "bin")
	runc, err := exec.LookPath("runc")
	if carried, _ := filepath.Glob(filepath.Join(bin, "*", "runc")); len(carried) > 0 {
		runc, err = carried[0], nil
	}
	require.NoError(b, err)
	return filepath.Join(bin, "containerd-shim-runc-v2"), runc
}

// defaultSpec is containerd's own for an image.
func (c *bareClient) defaultSpec() containerd.NewContainerOpts {
	return containerd.WithNewSpec(oci.WithImageConfig(c.image), oci.WithProcessArgs("true"))
}

// specOf is what the daemon ran a container with, in a cgroup beside it. The
// container stays: its files are mounted.
func (c *bareClient) specOf(b testing.TB, d *daemon) containerd.NewContainerOpts {
	id := d.createTrue(b)
	d.runToEnd(b, id)
	ctx := namespaces.WithNamespace(context.Background(), "pouchfx")
	theirs, err := c.LoadContainer(ctx, id)
	require.NoError(b, err)
	spec, err := theirs.Spec(ctx)
	require.NoError(b, err)
	require.NotNil(b, spec.Linux.Seccomp)
	return containerd.WithSpec(spec, func(_ context.Context, _ oci.Client, own *containers.Container, s *specs.Spec) error {
		s.Linux.CgroupsPath = path.Join(path.Dir(s.Linux.CgroupsPath), own.ID)
		return nil
	})
}

func (c *bareClient) life(b testing.TB, spec containerd.NewContainerOpts) {
	c.n++
	id := fmt.Sprintf("bare%d", c.n)
	opts := append([]containerd.NewContainerOpts{
		containerd.WithImage(c.image), containerd.WithNewSnapshot(id, c.image), spec,
	}, c.opts...)
	ctr, err := c.NewContainer(c.ctx, id, opts...)
	require.NoError(b, err)
	task, err := ctr.NewTask(c.ctx, cio.NewCreator(cio.WithStreams(nil, io.Discard, io.Discard)))
	require.NoError(b, err)
	exited, err := task.Wait(c.ctx)
	require.NoError(b, err)
	require.NoError(b, task.Start(c.ctx))
	status := <-exited
	require.Zero(b, status.ExitCode())
	_, err = task.Delete(c.ctx)
	require.NoError(b, err)
	require.NoError(b, ctr.Delete(c.ctx, containerd.WithSnapshotCleanup))
}
