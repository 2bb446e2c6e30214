package stdio

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pipe returns a pipe that closes with the test.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func openSpool(t testing.TB, path string, logged int64) *Spool {
	t.Helper()
	s, err := OpenSpool(path, logged)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// through reads from a pipe by way of a spool; no failure is expected.
func through(t testing.TB, s *Spool, from io.Reader) io.Reader {
	t.Helper()
	r, err := s.Through(from, func(err error) { assert.NoError(t, err) })
	require.NoError(t, err)
	return r
}

func readString(t testing.TB, r io.Reader) string {
	t.Helper()
	buf := make([]byte, 1<<10)
	n, err := r.Read(buf)
	require.NoError(t, err)
	return string(buf[:n])
}

func TestSpoolPassesAPipeOn(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"), 0)
	r, w := pipe(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	go func() {
		w.Write(want)
		w.Close()
	}()
	got, err := io.ReadAll(through(t, s, r))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got))
	assert.EqualValues(t, len(want), s.Offset())
}

// A daemon that dies between taking output and logging it finds it again.
func TestSpoolGoesOnWhereTheLogEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	r, w := pipe(t)
	first := openSpool(t, path, 0)
	w.WriteString("logged lost ")
	require.Equal(t, "logged lost ", readString(t, through(t, first, r)))

	second := openSpool(t, path, int64(len("logged ")))
	w.WriteString("new")
	w.Close()
	got, err := io.ReadAll(through(t, second, r))
	require.NoError(t, err)
	assert.Equal(t, "lost new", string(got))
}

// When the process has ended and its pipe is gone, there is what was taken.
func TestSpoolWithoutAPipeHasTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	r, w := pipe(t)
	w.WriteString("logged rest")
	readString(t, through(t, openSpool(t, path, 0), r))
	for range 2 {
		got, err := io.ReadAll(through(t, openSpool(t, path, int64(len("logged "))), nil))
		require.NoError(t, err)
		assert.Equal(t, "rest", string(got))
	}
	last := openSpool(t, path, int64(len("logged rest")))
	got, err := io.ReadAll(through(t, last, nil))
	require.NoError(t, err)
	assert.Empty(t, got)
}

// Whoever empties the log by hand does not want its content back.
func TestSpoolRemembersWhatWasLogged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	r, w := pipe(t)
	s := openSpool(t, path, 0)
	w.WriteString("logged rest")
	readString(t, through(t, s, r))
	require.NoError(t, s.Logged(int64(len("logged "))))
	got, err := io.ReadAll(through(t, openSpool(t, path, 0), nil))
	require.NoError(t, err)
	assert.Equal(t, "rest", string(got))
}

func TestSpoolThatIsNoneIsBegunAgain(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"removed":    func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"emptied":    func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
		"shortened":  func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, spoolHeader+3)) },
		"header cut": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 20)) },
		"foreign": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 3*spoolHeader), 0o600))
		},
		"bad numbers": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, append([]byte(spoolMagic), bytes.Repeat([]byte{0xff}, spoolHeader)...), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool")
			r, w := pipe(t)
			w.WriteString("0123456789")
			readString(t, through(t, openSpool(t, path, 0), r))
			damage(t, path)
			s := openSpool(t, path, 5)
			require.EqualValues(t, 5, s.Offset(), "offsets do not go back")
			w.WriteString("new")
			got := readString(t, through(t, s, r))
			assert.Equal(t, "new", got[max(0, len(got)-3):])

			again := openSpool(t, path, 5)
			assert.Equal(t, got, readString(t, through(t, again, nil)))
		})
	}
}

// A file that is cut while it is in use costs at most what was in it.
func TestSpoolCutInUseDoesNotEndTheOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path, 0)
	r, w := pipe(t)
	lost := 0
	from, err := s.Through(r, func(error) { lost++ })
	require.NoError(t, err)
	w.WriteString("0123456789")
	buf := make([]byte, 4)
	_, err = io.ReadFull(from, buf)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 0))
	w.WriteString("more")
	assert.Equal(t, "more", readString(t, from))
	assert.Equal(t, 1, lost)
}

func TestSpoolGivesRoomBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path, 0)
	r, w := pipe(t)
	const size = 8 << 20
	go func() {
		w.Write(make([]byte, size))
		w.Close()
	}()
	n, err := io.Copy(io.Discard, through(t, s, r))
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.NoError(t, s.Logged(size-100))
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(path, &st))
	assert.Less(t, st.Blocks*512, int64(size/10))
	rest := openSpool(t, path, size-100)
	got, err := io.ReadAll(through(t, rest, nil))
	require.NoError(t, err)
	assert.Len(t, got, 100)
}

// The file does not grow for ever, nor does its beginning again lose anything.
func TestSpoolBeginsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path, 0)
	require.NoError(t, s.skip(spoolLimit))
	r, w := pipe(t)
	from := through(t, s, r)
	w.WriteString("before")
	require.Equal(t, "before", readString(t, from))
	require.NoError(t, s.Logged(s.Offset()))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.EqualValues(t, spoolHeader, info.Size())
	w.WriteString("after")
	require.Equal(t, "after", readString(t, from))
	assert.EqualValues(t, spoolLimit+len("beforeafter"), s.Offset())
	again := openSpool(t, path, spoolLimit+int64(len("beforeaf")))
	assert.Equal(t, "ter", readString(t, through(t, again, nil)))
}

// On a full disk output passes by the file; with room it goes through it again.
func TestSpoolOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small file system")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, 0)) })
	path := filepath.Join(dir, "spool")
	s, err := OpenSpool(path, 0)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	r, w := pipe(t)
	var reported []error
	from, err := s.Through(r, func(err error) { reported = append(reported, err) })
	require.NoError(t, err)

	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, f.Close())
	w.WriteString("while full")
	require.Equal(t, "while full", readString(t, from))
	require.NotEmpty(t, reported)
	require.ErrorIs(t, reported[0], unix.ENOSPC)

	require.NoError(t, os.Remove(fill))
	reported = nil
	w.WriteString("with room")
	require.Equal(t, "with room", readString(t, from))
	require.Empty(t, reported)
	again := openSpool(t, path, 0)
	assert.Equal(t, "with room", readString(t, through(t, again, nil)), "what passed by is not there, and nothing in its place")
}

// Closing the pipe ends a reader that waits, as at the daemon's end.
func TestSpoolReaderEndsWithItsPipe(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"), 0)
	r, _ := pipe(t)
	from := through(t, s, r)
	ended := make(chan error, 1)
	go func() {
		_, err := from.Read(make([]byte, 10))
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond) // it may wait by now, or not: both must end
	r.Close()
	select {
	case err := <-ended:
		require.Error(t, err)
		assert.False(t, errors.Is(err, io.EOF))
	case <-time.After(10 * time.Second):
		t.Fatal("the reader hangs")
	}
}

func BenchmarkSpool(b *testing.B) {
	for name, size := range map[string]int{"lines": 100, "chunks": 32 << 10} {
		b.Run(name, func(b *testing.B) {
			s := openSpool(b, filepath.Join(b.TempDir(), "spool"), 0)
			r, w := pipe(b)
			go func() {
				out := make([]byte, size)
				for range b.N {
					w.Write(out)
				}
				w.Close()
			}()
			b.SetBytes(int64(size))
			from, buf := through(b, s, r), make([]byte, 32<<10)
			for {
				_, err := from.Read(buf)
				if err != nil {
					require.ErrorIs(b, err, io.EOF)
					return
				}
				require.NoError(b, s.Logged(s.Offset()))
			}
		})
	}
}
