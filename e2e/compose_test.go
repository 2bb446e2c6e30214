package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compose is docker compose for a project of the tests.
func compose(t *testing.T, d *daemon, project string) cli {
	t.Helper()
	program := clientBinary(t, "compose", "docker-compose", "build", "github.com/docker/compose/v5/cmd")
	dir := t.TempDir()
	file, err := os.ReadFile(filepath.Join("clients", "compose", project))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), file, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.txt"), []byte("key\n"), 0o600))
	return cli{t: t, d: d, program: program, dir: dir, env: d.environment(t, "TOKEN=token")}
}

// page fetches what a service publishes.
func (c cli) page(service, port, path string) string {
	c.t.Helper()
	res, err := http.Get("http://" + c.ok("port", service, port) + path)
	require.NoError(c.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return string(text)
}

func TestClientCompose(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	c := compose(t, d, "shop.yaml")
	states := func() []string {
		return lines(c.ok("ps", "-a", "--format", "{{.Name}} {{.State}} {{.Health}} {{.ExitCode}}"))
	}
	c.ok("config", "-q")

	// The database is healthy before the migration begins, and that has ended
	// before pages are served.
	c.ok("up", "-d")
	assert.ElementsMatch(t, []string{"shop-db-1 running healthy 0", "shop-migrate-1 exited  0", "shop-web-1 running  0", "shop-worker-1 running  0"}, states())
	assert.Contains(t, c.ok("logs", "--no-log-prefix", "migrate"), "rows", "the database was found by its alias")
	assert.Equal(t, "hello\nkey\ntoken", c.page("web", "80", "/page"), "a config and two kinds of secrets")

	c.ok("up", "-d")
	assert.Equal(t, 4, len(states()), "another up changes nothing")

	logs := c.ok("logs")
	for _, line := range []string{"| db is up", "| web is up", "| working"} {
		assert.Contains(t, logs, line)
	}
	assert.Equal(t, result{"nobody\n", "", 3}, c.do("exec", "-T", "web", "sh", "-c", "echo $WHO; exit 3"))
	assert.NotZero(t, c.do("exec", "-T", "worker", "nc", "-z", "-w", "1", "database", "8000").code, "it is on another network")
	assert.Zero(t, c.do("exec", "-T", "web", "nc", "-z", "-w", "1", "db", "8000").code, "services are found by their names")
	assert.Contains(t, c.ok("top", "web"), "httpd :80 /tmp")
	assert.Contains(t, c.ok("images"), "shop-web-1")
	assert.Contains(t, c.ok("ls"), "shop                running(3)")

	c.ok("scale", "worker=3")
	assert.Subset(t, states(), []string{"shop-worker-1 running  0", "shop-worker-2 running  0", "shop-worker-3 running  0"})
	for _, name := range []string{"shop-worker-1", "shop-worker-2", "shop-worker-3", "worker"} {
		assert.Equal(t, "reached "+name, c.reach(name))
	}
	c.ok("scale", "worker=1")
	assert.NotContains(t, strings.Join(states(), "\n"), "shop-worker-3")

	assert.Equal(t, result{"once\n", "", 4}, noProgress(c.do("run", "--rm", "-T", "worker", "sh", "-c", "echo once; exit 4")))
	c.ok("cp", "web:/tmp/page", "out")
	text, err := os.ReadFile(filepath.Join(c.dir, "out"))
	require.NoError(t, err)
	assert.Equal(t, "hello\nkey\ntoken", string(text))
	c.ok("cp", "out", "worker:/in")
	assert.Equal(t, string(text), c.ok("exec", "-T", "worker", "cat", "/in"))

	c.ok("pause", "web")
	assert.Contains(t, states(), "shop-web-1 paused  0")
	c.ok("unpause", "web")
	c.ok("restart", "-t", "1", "web")
	assert.Equal(t, "hello\nkey\ntoken", c.page("web", "80", "/page"))
	c.ok("stop", "-t", "1", "worker")
	assert.Contains(t, strings.Join(states(), "\n"), "shop-worker-1 exited")
	c.ok("start", "worker")
	c.ok("kill", "worker")
	c.ok("rm", "-f", "worker")
	assert.NotContains(t, strings.Join(states(), "\n"), "worker")

	// What changed is made anew, with the data it had.
	before := c.ok("ps", "-q", "web")
	c.env = append(c.env, "WHO=me")
	c.ok("up", "-d")
	assert.NotEqual(t, before, c.ok("ps", "-q", "web"))
	assert.Equal(t, "me", c.ok("exec", "-T", "web", "sh", "-c", "echo $WHO"))
	assert.Contains(t, c.ok("exec", "-T", "db", "ls", "/data"), "migrated")

	c.ok("down")
	volumes, err := d.client.VolumeList(testContext(t), client.VolumeListOptions{Filters: client.Filters{}.Add("label", "com.docker.compose.project=shop")})
	require.NoError(t, err)
	assert.Len(t, volumes.Items, 1, "down leaves volumes, down -v does not")
	c.ok("up", "-d", "db")
	c.ok("down", "-v", "--remove-orphans")
	d.hasNothingOf(t, "com.docker.compose.project=shop")
}

// reach asks from the page server, which is on the front network, for a name
// there.
func (c cli) reach(name string) string {
	c.t.Helper()
	if r := c.do("exec", "-T", "web", "nc", "-z", "-w", "1", name, "1"); !strings.Contains(r.stderr, "refused") {
		return r.stderr
	}
	return "reached " + name
}

// noProgress leaves out what compose tells about its work.
func noProgress(r result) result {
	r.stderr = ""
	return r
}

// hasNothingOf checks that nothing with a label is left.
func (d *daemon) hasNothingOf(t *testing.T, label string) {
	t.Helper()
	ctx, filters := testContext(t), client.Filters{}.Add("label", label)
	containers, err := d.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	require.NoError(t, err)
	assert.Empty(t, containers.Items)
	networks, err := d.client.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	require.NoError(t, err)
	assert.Empty(t, networks.Items)
	volumes, err := d.client.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	require.NoError(t, err)
	assert.Empty(t, volumes.Items)
}

// Attached: both streams of all, until one ends, whose status is the result.
func TestClientComposeAttached(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	c := compose(t, d, "attached.yaml")
	r := c.do("up", "--exit-code-from", "short")
	assert.EqualValues(t, 5, r.code, r.stderr)
	assert.Contains(t, r.stdout, "| short has ended\n")
	assert.Contains(t, r.stdout, "| long goes on\n")
	assert.Contains(t, strings.Join(lines(c.ok("ps", "-a", "--format", "{{.Service}} {{.ExitCode}}")), ","), "short 5")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events := d.client.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("label", "com.docker.compose.service=long").Add("event", "destroy")})
	c.ok("down", "-v")
	select {
	case m := <-events.Messages:
		assert.EqualValues(t, "destroy", m.Action)
	case err := <-events.Err:
		require.NoError(t, err)
	}
	d.hasNothingOf(t, "com.docker.compose.project=attached")
}
