package nri

import (
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/nri/pkg/api"
	"github.com/stretchr/testify/require"
)

// What one NRI plugin costs a create here, over what it costs under containerd,
// which shows it the OCI spec: at most 1.2. What containerd then does to the
// spec is left out, what happens here to the configuration is not.
func BenchmarkCreateWithOneNRIPlugin(b *testing.B) {
	p := start(b, Config{})
	connect(b, p, "10", "tagger", func(*api.Container) *api.ContainerAdjustment {
		a := &api.ContainerAdjustment{}
		a.AddEnv("TAG", "1")
		a.AddAnnotation("org.example/tag", "1")
		a.SetLinuxPidLimits(64)
		return a
	})
	spec, err := oci.GenerateSpec(namespaces.WithNamespace(b.Context(), "x"), nil, &containers.Container{ID: "x"})
	require.NoError(b, err)
	ctx, runtime := asked(b), p.runtime.Load()
	var ours, containerds []time.Duration
	for b.Loop() {
		begin := time.Now()
		_, err := runtime.CreateContainer(ctx, &api.CreateContainerRequest{
			Pod: pod("x", "web", nil, nil),
			Container: &api.Container{
				Id: "x", PodSandboxId: "x", Name: "web", State: api.ContainerState_CONTAINER_CREATED, Labels: body().Labels,
				Annotations: map[string]string{}, Args: spec.Process.Args, Env: spec.Process.Env, Mounts: api.FromOCIMounts(spec.Mounts), Hooks: api.FromOCIHooks(spec.Hooks),
				Linux: &api.LinuxContainer{Namespaces: api.FromOCILinuxNamespaces(spec.Linux.Namespaces), Resources: api.FromOCILinuxResources(spec.Linux.Resources, nil), Sysctl: map[string]string{}},
			},
		})
		between := time.Now()
		if err == nil {
			err = p.PreCreate(ctx, body())
		}
		ours, containerds = append(ours, time.Since(between)), append(containerds, between.Sub(begin))
		if err != nil {
			b.Fatal(err)
		}
	}
	median := func(all []time.Duration) float64 { slices.Sort(all); return float64(all[len(all)/2]) }
	b.ReportMetric(median(ours)/1e3, "µs/create")
	b.ReportMetric(median(containerds)/1e3, "µs-under-containerd/create")
	b.ReportMetric(median(ours)/median(containerds), "x-containerd")
}
