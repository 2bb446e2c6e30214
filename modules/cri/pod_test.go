package cri

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/types"
)

// connect follows a URL of CRI as kubelet does.
func connect(t *testing.T, address, protocol string) httpstream.Connection {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.Equal(t, "http", u.Scheme, "or kubelet speaks TLS to it")
	require.Equal(t, "127.0.0.1", u.Hostname())
	transport, err := spdy.NewRoundTripper(nil)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
	require.NoError(t, err)
	request.Header.Set("X-Stream-Protocol-Version", protocol)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	conn, err := transport.NewConnection(response)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func open(t *testing.T, conn httpstream.Connection, headers map[string]string) httpstream.Stream {
	t.Helper()
	h := http.Header{}
	for k, v := range headers {
		h.Set(k, v)
	}
	s, err := conn.CreateStream(h)
	require.NoError(t, err)
	return s
}

func kubeletStreams(t *testing.T, f *fixture) {
	c := containerConfig("main")
	c.Command = []string{"httpd", "127.0.0.1:18080"}
	id := f.run(t, "streams", c)

	t.Run("exec", func(t *testing.T) {
		r, err := f.runtime.Exec(t.Context(), &runtime.ExecRequest{ContainerId: id, Cmd: []string{"cat"}, Stdin: true, Stdout: true, Stderr: true})
		require.NoError(t, err)
		conn := connect(t, r.Url, "v4.channel.k8s.io")
		failed := open(t, conn, map[string]string{"streamType": "error"})
		stdin := open(t, conn, map[string]string{"streamType": "stdin"})
		stdout := open(t, conn, map[string]string{"streamType": "stdout"})
		open(t, conn, map[string]string{"streamType": "stderr"})
		sent := bytes.Repeat([]byte("typed\n"), 50_000)
		go func() { // ends with the connection
			_, _ = stdin.Write(sent)
			_ = stdin.Close()
		}()
		got, err := io.ReadAll(stdout)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(sent, got), "%d of %d bytes", len(got), len(sent))
		end, err := io.ReadAll(failed)
		require.NoError(t, err)
		assert.Contains(t, string(end), `"status":"Success"`)
	})
	t.Run("port-forward", func(t *testing.T) {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:18080")
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}, 10*time.Second, 20*time.Millisecond)
		container, err := f.runtime.ContainerStatus(t.Context(), &runtime.ContainerStatusRequest{ContainerId: id})
		require.NoError(t, err)
		list, err := f.runtime.ListContainers(t.Context(), &runtime.ListContainersRequest{Filter: &runtime.ContainerFilter{Id: container.Status.Id}})
		require.NoError(t, err)
		r, err := f.runtime.PortForward(t.Context(), &runtime.PortForwardRequest{PodSandboxId: list.Containers[0].PodSandboxId, Port: []int32{18080}})
		require.NoError(t, err)
		conn := connect(t, r.Url, "portforward.k8s.io")
		open(t, conn, map[string]string{"streamType": "error", "port": "18080", "requestID": "0"})
		data := open(t, conn, map[string]string{"streamType": "data", "port": "18080", "requestID": "0"})
		_, err = io.WriteString(data, "GET / HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		answer := make([]byte, len("HTTP/1."))
		_, err = io.ReadFull(data, answer)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.", string(answer))
	})
}

func kubeletWatches(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := f.runtime.GetContainerEvents(ctx, &runtime.GetEventsRequest{})
	require.NoError(t, err)
	_, err = events.Header()
	require.NoError(t, err, "it listens from now on")
	c := containerConfig("main")
	c.Command = []string{"sh", "-c", "echo hello; sleep 3600"}
	id := f.run(t, "watched", c)

	var seen []runtime.ContainerEventType
	for len(seen) < 2 {
		e, err := events.Recv()
		require.NoError(t, err)
		if e.ContainerId == id {
			seen = append(seen, e.ContainerEventType)
		}
	}
	assert.Equal(t, []runtime.ContainerEventType{
		runtime.ContainerEventType_CONTAINER_CREATED_EVENT, runtime.ContainerEventType_CONTAINER_STARTED_EVENT,
	}, seen)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(f.logs, "main.log"))
		return err == nil && strings.HasSuffix(string(text), " stdout F hello\n")
	}, 10*time.Second, 20*time.Millisecond)
	stats, err := f.runtime.ContainerStats(t.Context(), &runtime.ContainerStatsRequest{ContainerId: id})
	require.NoError(t, err)
	assert.NotZero(t, stats.Stats.Memory.WorkingSetBytes.Value)

	cancel()
	for err == nil {
		_, err = events.Recv()
	}
	assert.Equal(t, codes.Canceled, status.Code(err))
	_, err = f.runtime.StopContainer(t.Context(), &runtime.StopContainerRequest{ContainerId: id})
	require.NoError(t, err)
	r, err := f.runtime.ContainerStatus(t.Context(), &runtime.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	assert.Equal(t, runtime.ContainerState_CONTAINER_EXITED, r.Status.State)
	_, err = f.runtime.RemoveContainer(t.Context(), &runtime.RemoveContainerRequest{ContainerId: id})
	require.NoError(t, err)
}

func aPodHasANetwork(t *testing.T, f *fixture) {
	f.forget()
	p := f.podConfig("networked")
	p.Hostname = "networked"
	p.Linux.SecurityContext.NamespaceOptions.Network = runtime.NamespaceMode_POD
	pod := f.runPod(t, p)
	r, err := f.runtime.PodSandboxStatus(t.Context(), &runtime.PodSandboxStatusRequest{PodSandboxId: pod})
	require.NoError(t, err)
	ip := r.Status.Network.Ip
	assert.Regexp(t, `^10\.123\.0\.`, ip)
	var netns string
	f.preCri = func(_ context.Context, _ *types.ContainerCreateConfig, m *types.SandboxMeta) error {
		netns = m.NetNS
		return nil
	}
	c := containerConfig("main")
	c.Command = []string{"httpd", ":80"}
	id, err := f.tryCreate(t, pod, p, c)
	require.NoError(t, err)
	f.start(t, id)
	assert.Equal(t, "networked\n", f.exec(t, id, "hostname"))
	assert.FileExists(t, netns)
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", ip+":80", time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	containerdtest.RemovePods(t, f.engine)
	assert.NoFileExists(t, netns)
}

func upstreamGoesAndComesBack(t *testing.T, f *fixture, stock *containerdtest.Stock) {
	version := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.runtime.Version(ctx, &runtime.VersionRequest{})
		return err
	}
	require.NoError(t, version())
	stock.Stop()
	require.Eventually(t, func() bool { return version() != nil }, 5*time.Second, 10*time.Millisecond)
	assert.Equal(t, codes.Unavailable, status.Code(version()))
	_, err := f.tryCreate(t, "x", f.podConfig("x"), containerConfig("main"))
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	_, err = f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: "x"})
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	_, err = f.images.PullImage(t.Context(), &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: "127.0.0.1:1/x"}})
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	stock.Start(t)
	assert.Eventually(t, func() bool { return version() == nil }, 3*time.Second, 10*time.Millisecond)
}
