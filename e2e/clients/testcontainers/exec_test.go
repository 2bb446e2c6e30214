package testcontainers

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestExec(t *testing.T) {
	c := run(t, "sleep 1000")
	code, text := output(t, c, []string{"sh", "-c", "echo out; echo err >&2; exit 4"})
	assert.Equal(t, 4, code)
	assert.ElementsMatch(t, []string{"out", "err"}, strings.Fields(text))
	code, text = output(t, c, []string{"sh", "-c", "id; echo $PWD $A"}, exec.WithUser("app"), exec.WithWorkingDir("/tmp"), exec.WithEnv([]string{"A=b"}))
	assert.Zero(t, code)
	assert.Equal(t, "uid=1000 gid=1000 groups=[1000 2000]\n/tmp b\n", text)
	code, _ = output(t, c, []string{"nosuch"})
	assert.Contains(t, []int{126, 127}, code)
}

func TestCommandsAroundTheStart(t *testing.T) {
	c := run(t, "sleep 1000", testcontainers.WithStartupCommand(testcontainers.NewRawCommand([]string{"sh", "-c", "echo 1 >> /order"})),
		testcontainers.WithAfterReadyCommand(testcontainers.NewRawCommand([]string{"sh", "-c", "echo 2 >> /order"})))
	_, text := output(t, c, []string{"cat", "/order"})
	assert.Equal(t, "1\n2\n", text)
}

func TestCopy(t *testing.T) {
	ctx, dir := limited(t), t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("from the host\n"), 0o640))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tree", "below"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tree", "below", "leaf"), []byte("leaf\n"), 0o644))

	// Before the start, as a container's configuration comes to it.
	c := run(t, "cat /etc/conf /etc/text; sleep 1000", testcontainers.WithFiles(
		testcontainers.ContainerFile{HostFilePath: file, ContainerFilePath: "/etc/conf", FileMode: 0o644},
		testcontainers.ContainerFile{Reader: strings.NewReader("from a reader\n"), ContainerFilePath: "/etc/text", FileMode: 0o600},
	), testcontainers.WithWaitStrategy(wait.ForLog("from the host\nfrom a reader")))

	// While it runs.
	require.NoError(t, c.CopyToContainer(ctx, []byte("bytes\n"), "/tmp/bytes", 0o600))
	require.NoError(t, c.CopyFileToContainer(ctx, file, "/tmp/file", 0o755))
	require.NoError(t, c.CopyDirToContainer(ctx, filepath.Join(dir, "tree"), "/tmp/tree", 0o755))
	_, text := output(t, c, []string{"sh", "-c", "cat /tmp/bytes /tmp/file /tmp/tree/below/leaf; stat /tmp/bytes /tmp/file"})
	assert.Equal(t, "bytes\nfrom the host\nleaf\n-rw------- 0:0 6\n-rwxr-xr-x 0:0 14\n", text)

	r, err := c.CopyFileFromContainer(ctx, "/tmp/tree/below/leaf")
	require.NoError(t, err)
	defer r.Close()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "leaf\n", string(got))
	_, err = c.CopyFileFromContainer(ctx, "/nosuch")
	assert.Error(t, err)
}
