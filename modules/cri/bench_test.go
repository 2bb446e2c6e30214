package cri

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

// BenchmarkCRI compares what kubelet does most through the endpoint with the
// same straight at containerd's CRI, in turns. Each figure is a median.
func BenchmarkCRI(b *testing.B) {
	b.Run("embedded", func(b *testing.B) {
		f := newFixture(b, containerdtest.Start(b, containerdtest.CRI(b)))
		compare(b, f, f.engine.CRI())
	})
	b.Run("external", func(b *testing.B) {
		stock, config := containerdtest.StockCRI(b)
		stock.Start(b)
		f := newFixture(b, containerdtest.Start(b, config))
		f.load(b, containerdtest.StockPause, containerdtest.Pause(b))
		conn, err := grpc.NewClient("unix://"+stock.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		require.NoError(b, err)
		defer conn.Close()
		compare(b, f, conn)
	})
}

func compare(b *testing.B, f *fixture, direct *grpc.ClientConn) {
	ways := []*way{{f, f.runtime}, {f, runtime.NewRuntimeServiceClient(direct)}}
	for _, m := range []struct {
		name  string
		turns int
		run   func(*way, *testing.B) time.Duration
	}{
		{"call", 500, (*way).version},
		{"pod", 12, (*way).pod},
		{"eight-pods", 5, (*way).eightPods},
		{"exec-10MiB", 12, (*way).exec},
	} {
		b.Run(m.name, func(b *testing.B) {
			var took [2][]time.Duration
			for b.Loop() {
				for turn := range m.turns {
					for i := range ways {
						i = (i + turn) % 2
						took[i] = append(took[i], m.run(ways[i], b))
					}
				}
			}
			through, straight := median(took[0]), median(took[1])
			b.ReportMetric(float64(through.Microseconds())/1000, "endpoint-ms")
			b.ReportMetric(float64(straight.Microseconds())/1000, "direct-ms")
			b.ReportMetric(float64((through-straight).Microseconds())/1000, "more-ms")
			b.ReportMetric(float64(through)/float64(straight), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
	containerdtest.RemovePods(b, f.engine)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// way is one of the two ways to containerd's CRI.
type way struct {
	f       *fixture
	runtime runtime.RuntimeServiceClient
}

func (w *way) version(b *testing.B) time.Duration {
	begun := time.Now()
	_, err := w.runtime.Version(b.Context(), &runtime.VersionRequest{})
	require.NoError(b, err)
	return time.Since(begun)
}

// pod takes the time of a pod's start; its end is not part of it.
func (w *way) pod(b *testing.B) time.Duration {
	begun := time.Now()
	pod, _ := w.start(b, fmt.Sprintf("pod-%d", begun.UnixNano()))
	took := time.Since(begun)
	w.remove(b, pod)
	return took
}

func (w *way) start(b *testing.B, name string) (pod, id string) {
	p := w.f.podConfig(name)
	r, err := w.runtime.RunPodSandbox(b.Context(), &runtime.RunPodSandboxRequest{Config: p})
	require.NoError(b, err)
	c, err := w.runtime.CreateContainer(b.Context(), &runtime.CreateContainerRequest{PodSandboxId: r.PodSandboxId, Config: containerConfig("main"), SandboxConfig: p})
	require.NoError(b, err)
	_, err = w.runtime.StartContainer(b.Context(), &runtime.StartContainerRequest{ContainerId: c.ContainerId})
	require.NoError(b, err)
	return r.PodSandboxId, c.ContainerId
}

func (w *way) remove(b *testing.B, pod string) {
	_, err := w.runtime.StopPodSandbox(b.Context(), &runtime.StopPodSandboxRequest{PodSandboxId: pod})
	require.NoError(b, err)
	_, err = w.runtime.RemovePodSandbox(b.Context(), &runtime.RemovePodSandboxRequest{PodSandboxId: pod})
	require.NoError(b, err)
}

// eightPods starts eight pods at once.
func (w *way) eightPods(b *testing.B) time.Duration {
	begun := time.Now()
	pods := make([]string, 8)
	var group sync.WaitGroup
	for i := range pods {
		group.Go(func() { pods[i], _ = w.start(b, fmt.Sprintf("pod-%d-%d", begun.UnixNano(), i)) })
	}
	group.Wait()
	took := time.Since(begun)
	for _, pod := range pods {
		w.remove(b, pod)
	}
	return took
}

// exec has a container say 10 MiB.
func (w *way) exec(b *testing.B) time.Duration {
	pod, id := w.start(b, fmt.Sprintf("exec-%d", time.Now().UnixNano()))
	defer w.remove(b, pod)
	begun := time.Now()
	r, err := w.runtime.ExecSync(b.Context(), &runtime.ExecSyncRequest{ContainerId: id, Cmd: []string{"dd", "10485760"}},
		grpc.MaxCallRecvMsgSize(64<<20))
	require.NoError(b, err)
	require.Len(b, r.Stdout, 10<<20, string(r.Stderr))
	return time.Since(begun)
}
