package testcontainers

import (
	"io"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// healthy is when /ready exists.
var healthcheck = testcontainers.WithConfigModifier(func(c *container.Config) {
	c.Healthcheck = &container.HealthConfig{
		Test: []string{"CMD-SHELL", "cat /ready"}, Interval: 100 * time.Millisecond, Timeout: 5 * time.Second, Retries: 100,
	}
})

func TestWaitStrategies(t *testing.T) {
	const late = "sleep 0.5; echo begun; echo yes > /ready; httpd :8000"
	for _, tc := range []struct {
		name     string
		script   string
		strategy wait.Strategy
		options  []testcontainers.ContainerCustomizer
	}{
		{"listening port", late, wait.ForListeningPort("8000/tcp"), nil},
		{"exposed port", late, wait.ForExposedPort(), nil},
		{"mapped port", late, wait.ForMappedPort("8000/tcp"), nil},
		{"page", late, wait.ForHTTP("/ready").WithPort("8000/tcp").WithStatusCodeMatcher(func(s int) bool { return s == 200 }), nil},
		{"log", late, wait.ForLog("begun"), nil},
		{"log twice", "sleep 0.2; echo line; sleep 0.2; echo line; sleep 1000", wait.ForLog("line").WithOccurrence(2), nil},
		{"pattern in log", late, wait.ForLog("beg[aeiou]n").AsRegexp(), nil},
		{"health", late, wait.ForHealthCheck(), []testcontainers.ContainerCustomizer{healthcheck}},
		{"exec", late, wait.ForExec([]string{"cat", "/ready"}), nil},
		{"exec with status", late, wait.ForExec([]string{"sh", "-c", "exit 7"}).WithExitCodeMatcher(func(s int) bool { return s == 7 }), nil},
		{"file", late, wait.ForFile("/ready").WithMatcher(func(r io.Reader) error { _, err := io.ReadAll(r); return err }), nil},
		{"exit", "sleep 0.3", wait.ForExit(), nil},
		{"any", late, wait.ForAny(wait.ForLog("begun"), wait.ForLog("never")), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			run(t, tc.script, append(tc.options, testcontainers.WithExposedPorts("8000/tcp"), testcontainers.WithWaitStrategy(tc.strategy))...)
		})
	}
}

func TestWaitingEndsWithTheContainer(t *testing.T) {
	c, err := testcontainers.Run(limited(t), image, testcontainers.WithCmd("sh", "-c", "echo going; exit 3"),
		testcontainers.WithWaitStrategy(wait.ForLog("never").WithStartupTimeout(30*time.Second)))
	testcontainers.CleanupContainer(t, c)
	require.Error(t, err)
	assert.ErrorContains(t, err, "exited with code 3")
}
