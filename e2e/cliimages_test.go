package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDockerImageCommands has what a user of the docker command sees of
// images; the texts are those that dockerd 20.10 was seen to print.
func TestDockerImageCommands(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box:latest")
		c := dockerCLI(t, d)
		host := loopbackRegistry(t)
		ref := host + "/cli/box:1"
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }

		c.ok("tag", "box", ref)
		r := c.do("push", ref)
		require.Zero(t, r.code, r.stderr)
		out := lines(r.stdout)
		require.Len(t, out, 4, r.stdout)
		assert.Equal(t, "The push refers to repository ["+host+"/cli/box]", out[0])
		assert.Regexp(t, "^[0-9a-f]{12}: Preparing$", out[1])
		assert.Regexp(t, "^[0-9a-f]{12}: Pushed$", out[2])
		assert.Regexp(t, `^1: digest: sha256:[0-9a-f]{64} size: \d+$`, out[3])
		assert.Contains(t, c.ok("push", ref), ": Layer already exists\n")
		assert.Equal(t, ref, c.ok("push", "-q", ref))
		c.ok("tag", "box", host+"/cli/box:2")
		all := c.ok("push", "-a", host+"/cli/box")
		assert.Contains(t, all, "\n1: digest: ")
		assert.Contains(t, all, "\n2: digest: ")
		assert.Equal(t, "tag does not exist: "+host+"/cli/box:nosuch\n", c.do("push", host+"/cli/box:nosuch").stderr)
		assert.Equal(t, "An image does not exist locally with the tag: "+host+"/nosuch\n", c.do("push", host+"/nosuch").stderr)

		c.ok("save", "-o", file("saved.tar"), "box", host+"/cli/box")
		assert.Equal(t, "Error response from daemon: No such image: nosuch\n", c.do("save", "-o", file("none.tar"), "nosuch").stderr)
		assert.Contains(t, c.ok("rmi", ref, host+"/cli/box:2"), "Untagged: "+ref)
		pulled := c.ok("pull", "-a", host+"/cli/box")
		assert.Contains(t, pulled, "\n2: Pulling from cli/box\n")
		assert.Contains(t, pulled, "\nStatus: Downloaded newer image for "+host+"/cli/box:2\n")
		assert.Equal(t, "1\n2", c.ok("images", "--format", "{{.Tag}}", host+"/cli/box"))
		assert.Equal(t, "Error response from daemon: repository "+host+"/nosuch not found: name unknown\n", c.do("pull", "-a", host+"/nosuch").stderr)
		c.ok("rmi", ref, host+"/cli/box:2")
		assert.Equal(t, "Loaded image: box:latest\nLoaded image: "+ref+"\nLoaded image: "+host+"/cli/box:2", c.ok("load", "-i", file("saved.tar")))
		assert.Equal(t, "Loaded image: box:latest\nLoaded image: "+ref+"\nLoaded image: "+host+"/cli/box:2", c.ok("load", "-q", "-i", file("saved.tar")))

		id := c.ok("run", "-d", "--network", "none", "box", "sh", "-c", "echo hi > /tmp/x; sleep 1000")
		defer c.do("rm", "-f", id)
		require.NoError(t, waitFor(time.Minute, func() bool { return c.do("exec", id, "cat", "/tmp/x").stdout == "hi\n" }))
		made := c.ok("commit", "-a", "me", "-m", "why", "-c", "EXPOSE 80", "-c", "LABEL l=1", id, "committed:1")
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", made)
		assert.Equal(t, "true false", c.ok("inspect", "-f", "{{.State.Running}} {{.State.Paused}}", id))
		history := lines(c.ok("history", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Comment}}", "committed:1"))
		assert.Equal(t, made[7:19]+"|sh -c echo hi > /tmp/x; sleep 1000|why", history[0])
		assert.True(t, strings.HasPrefix(history[1], "<missing>|"), history)
		assert.Equal(t, "map[80/tcp:{}] 1", c.ok("image", "inspect", "-f", "{{.Config.ExposedPorts}} {{.Config.Labels.l}}", "committed:1"))
		assert.Equal(t, "hi", c.ok("run", "--rm", "--network", "none", "committed:1", "cat", "/tmp/x"))
		assert.Contains(t, c.do("commit", "-c", "RUN x", id).stderr, "run is not a valid change command")

		c.ok("export", "-o", file("files.tar"), id)
		made = c.ok("import", "-m", "from files", "-c", `CMD ["cat", "/tmp/x"]`, "-c", "ENV PATH=/bin", file("files.tar"), "imported:1")
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", made)
		assert.Equal(t, "hi", c.ok("run", "--rm", "--network", "none", "imported:1"))
		assert.Contains(t, c.ok("history", "imported:1"), "from files")
		assert.Contains(t, c.do("import", "http://127.0.0.1:1/x.tar", "x:1").stderr, "importing from a URL is not supported")
		require.NoError(t, os.WriteFile(file("garbage"), []byte("garbage"), 0o600))
		assert.Contains(t, c.do("import", file("garbage"), "x:1").stderr, "Error response from daemon: cannot read the archive")
		assert.Contains(t, c.do("load", "-i", file("garbage")).stderr, "cannot read the image archive")

		assert.Contains(t, c.do("search", host+"/box").stderr, "Error response from daemon: Unexpected status code 404: registry "+host+" has no search")
		assert.Contains(t, c.do("search", "--limit", "200", "box").stderr, "Limit 200 is outside the range of [1, 100]")
		build := c.doWith("FROM scratch\n", "build", "-")
		assert.NotZero(t, build.code)
		assert.Contains(t, build.stderr, "building images is not supported: build with BuildKit")

		c.ok("rmi", "imported:1")
		assert.Contains(t, c.ok("image", "prune", "-f"), "Total reclaimed space: 0B")
		assert.Contains(t, c.ok("image", "prune", "-a", "-f", "--filter", "label=l=1"), "untagged: committed:1")
		assert.Contains(t, c.do("rmi", "nosuch").stderr, "No such image: nosuch")
	})
}
