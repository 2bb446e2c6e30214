package containers

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
	"github.com/pouchfx/pouchfx/types"
)

// bench is a service without an engine, for what only moves output.
func bench(t testing.TB, r *record) (*Service, *ctr) {
	t.Helper()
	s := &Service{Params: Params{Root: t.TempDir(), Log: zap.NewNop()}}
	require.NoError(t, os.MkdirAll(s.dir("c"), 0o700))
	return s, newCtr("c", r, logfile.New(filepath.Join(s.dir("c"), "log"), logfile.Options{MaxSize: 100 << 20}))
}

// write is one run of a container: it writes to its streams and ends.
func write(t testing.TB, s *Service, c *ctr, stdout, stderr string) {
	t.Helper()
	pipes := new(stdio.Pipes)
	for text, end := range map[*string]*io.ReadCloser{&stdout: &pipes.Stdout, &stderr: &pipes.Stderr} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		*end = r
		_, err = w.WriteString(*text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	if c.record().Config.Tty {
		pipes.Stderr = nil
	}
	if c.log != nil {
		require.NoError(t, c.log.Open())
	}
	hub := stdio.NewHub()
	s.pump(c, hub, pipes)
	require.True(t, hub.Drain(time.Minute))
	hub.Close(0)
}

// content is what a log has of each stream.
func content(t testing.TB, c *ctr) (stdout, stderr string) {
	t.Helper()
	var text [3]string
	require.NoError(t, c.log.Read(t.Context(), logfile.ReadOptions{Tail: -1}, func(e logfile.Entry) error {
		text[e.Stream] += string(e.Line)
		return nil
	}))
	return text[1], text[2]
}

func TestEachRunIsLoggedOnce(t *testing.T) {
	for name, terminal := range map[string]bool{"streams": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			r := new(record)
			r.Config.Tty = terminal
			s, c := bench(t, r)
			var out, errs string
			for i := range 5 {
				write(t, s, c, fmt.Sprintf("out %d\nunfinished", i), fmt.Sprintf("err %d\n", i))
				out += fmt.Sprintf("out %d\nunfinished", i)
				errs += fmt.Sprintf("err %d\n", i)
			}
			if terminal {
				errs = ""
			}
			stdout, stderr := content(t, c)
			assert.Equal(t, out, stdout)
			assert.Equal(t, errs, stderr)

			require.NoError(t, os.Truncate(c.log.Path(), 0))
			write(t, s, c, "after\n", "")
			stdout, stderr = content(t, c)
			assert.Equal(t, "after\n", stdout, "what was removed by hand does not come back")
			assert.Empty(t, stderr)
		})
	}
}

func TestOutputIsLoggedWithoutASpool(t *testing.T) {
	s, c := bench(t, new(record))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir("c"), "stdout.spool"), 0o700))
	for range 2 {
		write(t, s, c, "out\n", "err\n")
	}
	stdout, stderr := content(t, c)
	assert.Equal(t, "out\nout\n", stdout)
	assert.Equal(t, "err\nerr\n", stderr)
}

func TestOutputIsReadWithoutALog(t *testing.T) {
	s, c := bench(t, new(record))
	c.log = nil
	write(t, s, c, "out\n", "err\n")
	files, err := os.ReadDir(s.dir("c"))
	require.NoError(t, err)
	assert.Empty(t, files)
}

// A disk without room costs log entries; the container does not stand still,
// and what it writes when there is room again is logged.
func TestOutputOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small file system")
	}
	s, c := bench(t, new(record))
	require.NoError(t, unix.Mount("tmpfs", s.dir("c"), "tmpfs", 0, "size=2m"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(s.dir("c"), unix.MNT_DETACH)) })
	ballast := filepath.Join(s.dir("c"), "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 7<<18), 0o600))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	require.NoError(t, c.log.Open())
	hub := stdio.NewHub()
	s.pump(c, hub, &stdio.Pipes{Stdout: r})
	line := strings.Repeat("x", 99) + "\n"
	for range 10000 { // 1 MB
		_, err := w.WriteString(line)
		require.NoError(t, err)
	}
	require.NoError(t, os.Remove(ballast))
	for range 100 {
		_, err := w.WriteString("with room\n")
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.True(t, hub.Drain(time.Minute))
	hub.Close(0)
	stdout, _ := content(t, c)
	lines := strings.Count(stdout, line)
	assert.Greater(t, lines, 100)
	assert.Less(t, lines, 10000)
	assert.True(t, strings.HasSuffix(stdout, strings.Repeat("with room\n", 50)), stdout[max(0, len(stdout)-200):])
}

// BenchmarkLog is the way of output from a pipe to the log file.
func BenchmarkLog(b *testing.B) {
	line := append(bytes.Repeat([]byte("abcdefghi "), 10), '\n')
	for name, chunk := range map[string][]byte{
		"line by line": line,
		"many lines":   bytes.Repeat(line, 300),
		"zeros":        make([]byte, 32<<10),
	} {
		b.Run(name, func(b *testing.B) {
			s, c := bench(b, new(record))
			require.NoError(b, c.log.Open())
			r, w, err := os.Pipe()
			require.NoError(b, err)
			defer r.Close()
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			b.ResetTimer()
			hub := stdio.NewHub()
			s.pump(c, hub, &stdio.Pipes{Stdout: r})
			for range b.N {
				w.Write(chunk)
			}
			w.Close()
			require.True(b, hub.Drain(time.Minute))
			hub.Close(0)
		})
	}
}

// BenchmarkContainerOutput is a container that writes a gigabyte to its log.
func BenchmarkContainerOutput(b *testing.B) {
	f := newFixture(b, nil)
	b.SetBytes(1e9)
	for b.Loop() {
		id := f.create(b, "", func(c *types.ContainerCreateConfig) {
			c.HostConfig.LogConfig.Config = map[string]string{"max-size": "100m"}
		}, "dd", "1000000000")
		require.Zero(b, f.startAndWait(b, id))
		require.NoError(b, f.Remove(b.Context(), id, RemoveOptions{}))
	}
}
