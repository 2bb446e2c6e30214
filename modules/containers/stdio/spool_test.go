package stdio

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpoolPassesAPipeOn(t *testing.T) {
	s, err := OpenSpool(filepath.Join(t.TempDir(), "spool"))
	require.NoError(t, err)
	defer s.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	through, err := s.Through(r, 0)
	require.NoError(t, err)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	go func() {
		w.Write(want)
		w.Close()
	}()
	got, err := io.ReadAll(through)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got))
	assert.EqualValues(t, len(want), s.Size())
}

// A daemon that dies between taking output and logging it finds it again.
func TestSpoolGoesOnWhereTheLogEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	first, err := OpenSpool(path)
	require.NoError(t, err)
	through, err := first.Through(r, 0)
	require.NoError(t, err)
	w.WriteString("logged lost ")
	buf := make([]byte, 64)
	n, err := through.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "logged lost ", string(buf[:n]))
	require.NoError(t, first.Close())

	second, err := OpenSpool(path)
	require.NoError(t, err)
	defer second.Close()
	through, err = second.Through(r, int64(len("logged ")))
	require.NoError(t, err)
	w.WriteString("new")
	w.Close()
	got, err := io.ReadAll(through)
	require.NoError(t, err)
	assert.Equal(t, "lost new", string(got))

	assert.True(t, second.Holds(0))
	assert.True(t, second.Holds(second.Size()))
	assert.False(t, second.Holds(1000), "an offset that was never written")
}

func TestSpoolGivesRoomBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, err := OpenSpool(path)
	require.NoError(t, err)
	defer s.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	through, err := s.Through(r, 0)
	require.NoError(t, err)
	const size = 8 << 20
	go func() {
		w.Write(make([]byte, size))
		w.Close()
	}()
	n, err := io.Copy(io.Discard, through)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.True(t, s.Holds(0))
	s.Logged(size)
	assert.False(t, s.Holds(0))
	assert.True(t, s.Holds(size))
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(path, &st))
	assert.EqualValues(t, size, st.Size)
	assert.Less(t, st.Blocks*512, int64(size/10))
}
