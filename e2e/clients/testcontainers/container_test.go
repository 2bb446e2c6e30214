package testcontainers

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

const image = "box:latest"

// run starts a container of the image that runs a shell script, and
// terminates it at the end of the test.
func run(t *testing.T, script string, options ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
	t.Helper()
	options = append([]testcontainers.ContainerCustomizer{testcontainers.WithCmd("sh", "-c", script)}, options...)
	c, err := testcontainers.Run(limited(t), image, options...)
	testcontainers.CleanupContainer(t, c)
	require.NoError(t, err)
	return c
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// get fetches a page and returns it.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(limited(t), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// The generic container of the library's own documentation.
func TestGenericContainer(t *testing.T) {
	ctx := limited(t)
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image:        image,
			Cmd:          []string{"sh", "-c", "echo ready $WHO; echo page $WHO > /tmp/page; httpd :8000 /tmp"},
			Env:          map[string]string{"WHO": "you"},
			Labels:       map[string]string{"a": "b"},
			ExposedPorts: []string{"8000/tcp"},
			Tmpfs:        map[string]string{"/scratch": "rw"},
			WaitingFor:   wait.ForAll(wait.ForLog("ready you"), wait.ForListeningPort("8000/tcp")),
		},
		Started: true,
	})
	testcontainers.CleanupContainer(t, c)
	require.NoError(t, err)
	endpoint, err := c.Endpoint(ctx, "http")
	require.NoError(t, err)
	assert.Equal(t, "page you\n", get(t, endpoint+"/page"))

	inspected, err := c.Inspect(ctx)
	require.NoError(t, err)
	assert.Equal(t, "b", inspected.Config.Labels["a"])
	assert.True(t, inspected.State.Running)
	ip, err := c.ContainerIP(ctx)
	require.NoError(t, err)
	assert.Equal(t, "page you\n", get(t, "http://"+ip+":8000/page"), "the address is reached from the host")
	networks, err := c.Networks(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"bridge"}, networks)

	limit := 5 * time.Second
	require.NoError(t, c.Stop(ctx, &limit))
	assert.False(t, c.IsRunning())
	require.NoError(t, c.Start(ctx))
	endpoint, err = c.Endpoint(ctx, "http")
	require.NoError(t, err)
	assert.Equal(t, "page you\n", get(t, endpoint+"/page"), "after another start")

	require.NoError(t, c.Terminate(ctx))
	_, err = c.Inspect(ctx)
	assert.ErrorContains(t, err, "No such container")
}

func TestContainersAreReusedByName(t *testing.T) {
	named := testcontainers.WithReuseByName("tc-reused-" + time.Now().Format("150405.000000"))
	first := run(t, "sleep 1000", named)
	second := run(t, "sleep 1000", named)
	assert.Equal(t, first.GetContainerID(), second.GetContainerID())
}

func TestMissingImageIsAnError(t *testing.T) {
	c, err := testcontainers.Run(limited(t), "127.0.0.1:1/nosuch:1")
	testcontainers.CleanupContainer(t, c)
	assert.Error(t, err)
}

func TestFailedStartSaysWhy(t *testing.T) {
	c, err := testcontainers.Run(limited(t), image, testcontainers.WithCmd("nosuch"))
	testcontainers.CleanupContainer(t, c)
	assert.ErrorContains(t, err, "executable file not found")
}

func TestVolumesAndLimits(t *testing.T) {
	name := "tc-" + strings.ToLower(time.Now().Format("150405.000000"))
	mounted := testcontainers.WithMounts(testcontainers.VolumeMount(name, "/data"))
	first := run(t, "echo kept > /data/file", mounted, testcontainers.WithWaitStrategy(wait.ForExit()))
	second := run(t, "cat /data/file; echo; sleep 1000", mounted, testcontainers.WithWaitStrategy(wait.ForLog("kept")),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) { h.Memory = 64 << 20 }))
	inspected, err := second.Inspect(limited(t))
	require.NoError(t, err)
	assert.EqualValues(t, 64<<20, inspected.HostConfig.Memory)
	require.NoError(t, first.Terminate(limited(t)))
	require.NoError(t, second.Terminate(limited(t), testcontainers.RemoveVolumes(name)))
	client, err := testcontainers.NewDockerClientWithOpts(limited(t))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.VolumeInspect(limited(t), name, volumeInspectOptions)
	assert.ErrorContains(t, err, "no such volume")
}

// consumer collects what a container writes.
type consumer struct {
	mu             sync.Mutex
	stdout, stderr string
}

func (c *consumer) Accept(l testcontainers.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.LogType == testcontainers.StderrLog {
		c.stderr += string(l.Content)
		return
	}
	c.stdout += string(l.Content)
}

func (c *consumer) has(stdout, stderr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stdout == stdout && c.stderr == stderr
}

func TestLogConsumersGetBothStreams(t *testing.T) {
	var got consumer
	c := run(t, "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done; sleep 1000", testcontainers.WithLogConsumers(&got))
	assert.Eventually(t, func() bool { return got.has("out 1\nout 2\nout 3\n", "err 1\nerr 2\nerr 3\n") }, 30*time.Second, 10*time.Millisecond)
	logs, err := c.Logs(limited(t))
	require.NoError(t, err)
	defer logs.Close()
	text := make([]byte, 6)
	_, err = io.ReadFull(logs, text)
	require.NoError(t, err)
}
