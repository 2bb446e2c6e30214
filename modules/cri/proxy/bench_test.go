package proxy

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// cri answers as containerd does, without doing anything.
type cri struct {
	runtime.UnimplementedRuntimeServiceServer
	output []byte
}

func (c cri) Version(context.Context, *runtime.VersionRequest) (*runtime.VersionResponse, error) {
	return &runtime.VersionResponse{Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "v2", RuntimeApiVersion: "v1"}, nil
}

func (c cri) ExecSync(context.Context, *runtime.ExecSyncRequest) (*runtime.ExecSyncResponse, error) {
	return &runtime.ExecSyncResponse{Stdout: c.output}, nil
}

// road is a way from a client to the CRI.
type road struct {
	name string
	conn *grpc.ClientConn
	took []time.Duration
}

// median is what the road took, without the moments when the machine was busy
// with others.
func (r *road) median() time.Duration {
	slices.Sort(r.took)
	return r.took[len(r.took)/2]
}

// roads returns, for each of n clients, the direct road and those through a
// proxy, whose upstream is behind a socket and in the process. Clients and
// upstream have the limits of kubelet and containerd.
func roads(b *testing.B, n int, interceptors map[string]Interceptor) [][]*road {
	b.Helper()
	const limit = 16 << 20
	dir := b.TempDir()
	kubelet := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(limit))

	serve := func(s *grpc.Server, l net.Listener) {
		done := make(chan struct{})
		go func() { _ = s.Serve(l); close(done) }()
		b.Cleanup(func() { s.Stop(); <-done })
	}
	upstream := grpc.NewServer(grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(limit))
	runtime.RegisterRuntimeServiceServer(upstream, cri{output: randomBytes(10 << 20)})
	listen := func(name string) (string, net.Listener) {
		path := filepath.Join(dir, name)
		l, err := net.Listen("unix", path)
		require.NoError(b, err)
		return path, l
	}
	socket, l := listen("up")
	serve(upstream, l)
	memory := bufconn.Listen(1 << 20)
	serve(upstream, memory)

	external, l := listen("external")
	serve(New(dial(b, socket), interceptors, zap.NewNop()).Server, l)
	embedded, l := listen("embedded")
	serve(New(dial(b, "/ignored", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return memory.DialContext(ctx)
	})), interceptors, zap.NewNop()).Server, l)

	all := make([][]*road, n)
	for i := range all {
		all[i] = []*road{
			{name: "direct", conn: dial(b, socket, kubelet)},
			{name: "external", conn: dial(b, external, kubelet)},
			{name: "embedded", conn: dial(b, embedded, kubelet)},
		}
	}
	return all
}

// compare calls f in turns, so that all roads have the same company.
func compare(b *testing.B, clients [][]*road, f func(runtime.RuntimeServiceClient) error) {
	b.Helper()
	run := func(i int, times int) time.Duration {
		begin := time.Now()
		var wg sync.WaitGroup
		for _, roads := range clients {
			wg.Go(func() {
				for range times {
					if err := f(runtime.NewRuntimeServiceClient(roads[i].conn)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if b.Failed() {
			b.FailNow()
		}
		return time.Since(begin)
	}
	first := clients[0]
	for i := range first {
		run(i, 3) // connects
	}
	for b.Loop() {
		for i, r := range first {
			r.took = append(r.took, run(i, 1))
		}
	}
	direct := first[0].median()
	b.ReportMetric(0, "ns/op") // of all roads together
	for i, r := range first {
		b.ReportMetric(r.median().Seconds()*1000, r.name+"-ms")
		if i > 0 {
			b.ReportMetric((r.median()-direct).Seconds()*1000, r.name+"-added-ms")
			b.ReportMetric(direct.Seconds()/r.median().Seconds(), r.name+"-ratio")
		}
	}
}

func callVersion(c runtime.RuntimeServiceClient) error {
	_, err := c.Version(context.Background(), &runtime.VersionRequest{})
	return err
}

func execSync(c runtime.RuntimeServiceClient) error {
	_, err := c.ExecSync(context.Background(), &runtime.ExecSyncRequest{})
	return err
}

func BenchmarkCall(b *testing.B) { compare(b, roads(b, 1, nil), callVersion) }

func BenchmarkInterceptedCall(b *testing.B) {
	compare(b, roads(b, 1, map[string]Interceptor{version: func(ctx context.Context, r []byte, invoke Invoke) ([]byte, error) {
		return invoke(ctx, r)
	}}), callVersion)
}

func BenchmarkTenMegabytes(b *testing.B) { compare(b, roads(b, 1, nil), execSync) }

func BenchmarkEightClients(b *testing.B) { compare(b, roads(b, 8, nil), callVersion) }

func BenchmarkEightClientsTenMegabytes(b *testing.B) { compare(b, roads(b, 8, nil), execSync) }
