package logfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 128 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small file system")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// On a full disk entries are dropped, whole ones; with room it goes on.
func TestAFullDiskCostsEntriesOnly(t *testing.T) {
	for name, o := range map[string]Options{
		"one file":      {},
		"with rotation": {MaxSize: 40 << 10, MaxFiles: 10},
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t)
			ballast := filepath.Join(dir, "ballast")
			require.NoError(t, os.WriteFile(ballast, make([]byte, 64<<10), 0o600))
			l := New(filepath.Join(dir, "log"), o)
			require.NoError(t, l.Open())
			defer l.Close()
			written := 0
			for l.Append(line(written)) == nil {
				written++
			}
			require.Greater(t, written, 100)
			require.Error(t, l.Append(line(-1)))
			require.NoError(t, os.Remove(ballast))
			for range 10 {
				require.NoError(t, l.Append(line(written)))
				written++
			}
			var want string
			for i := range written {
				want += fmt.Sprintf("line %d\n", i)
			}
			assert.Equal(t, want, read(t, l, ReadOptions{Tail: -1}))
		})
	}
}

// later makes the log look after its file at the next Append.
func (l *Log) later() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked = l.looked.Add(-lookEvery)
}

// Who empties or removes the file by hand gets a log that goes on, and so does
// who follows it.
func TestTheFileIsEmptiedOrRemovedByHand(t *testing.T) {
	for name, o := range map[string]Options{
		"one file":      {},
		"with rotation": {MaxSize: 300, MaxFiles: 1},
	} {
		for name2, harm := range map[string]func(path string) error{
			"emptied": func(path string) error { return os.Truncate(path, 0) },
			"removed": os.Remove,
		} {
			t.Run(name+" "+name2, func(t *testing.T) {
				l := opened(t, o)
				require.NoError(t, l.Append(line(0)))
				require.NoError(t, l.Append(line(1)))
				got := make(chan string, 100)
				done := make(chan error, 1)
				go func() {
					done <- l.Read(context.Background(), ReadOptions{Tail: 1, Follow: true}, func(e Entry) error {
						got <- string(e.Line)
						return nil
					})
				}()
				require.Equal(t, "line 1\n", <-got)
				require.NoError(t, harm(l.Path()))
				l.later()
				require.NoError(t, l.Append(line(2)))
				require.Equal(t, "line 2\n", <-got)
				require.NoError(t, l.Append(line(3)))
				assert.Equal(t, "line 2\nline 3\n", read(t, l, ReadOptions{Tail: -1}))
				require.NoError(t, l.Close())
				require.NoError(t, <-done)
			})
		}
	}
}

// A log that cannot be opened at the start of a run is opened when it can be.
func TestALogIsOpenedOnceItCanBe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	l := New(filepath.Join(dir, "log"), Options{})
	require.Error(t, l.Open())
	require.Error(t, l.Append(line(0)))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, l.Append(line(1)))
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Append(line(2)), os.ErrClosed)
	assert.Equal(t, "line 1\n", read(t, l, ReadOptions{Tail: -1}))
}
