package logfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered appends entries with the numbers from one to another.
func numbered(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		require.NoError(t, l.Append(Entry{Stream: Stdout, Time: time.Unix(int64(i), 0), Line: fmt.Appendf(nil, "line %d\n", i)}))
	}
}

func readAll(t *testing.T, l *Log, o ReadOptions) (lines []string) {
	t.Helper()
	require.NoError(t, l.Read(t.Context(), o, func(e Entry) error { lines = append(lines, string(e.Line)); return nil }))
	return lines
}

func TestRotatedFilesAreCompressedAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := New(path, Options{MaxSize: 1000, MaxFiles: 4, Compress: true})
	require.NoError(t, l.Open())
	for i := range 100 {
		numbered(t, l, i, i+1)
		l.Wait() // so that all are compressed at each rotation
	}
	for i := 1; i < 4; i++ {
		assert.FileExists(t, fmt.Sprintf("%s.%d.gz", path, i))
		assert.NoFileExists(t, fmt.Sprintf("%s.%d", path, i))
	}
	assert.NoFileExists(t, path+".4.gz")
	assert.NoFileExists(t, path+".gz.tmp")
	all := readAll(t, l, ReadOptions{Tail: -1})
	require.Greater(t, len(all), 40)
	for i, line := range all {
		assert.Equal(t, fmt.Sprintf("line %d\n", 100-len(all)+i), line)
	}
	for _, n := range []int{1, 5, 20, len(all) - 1, len(all), 1000} {
		assert.Equal(t, all[max(0, len(all)-n):], readAll(t, l, ReadOptions{Tail: n}), "tail of %d", n)
	}
	assert.Equal(t, all[len(all)-3:], readAll(t, l, ReadOptions{Tail: -1, Since: time.Unix(97, 0)}))
	s, err := l.Snapshot()
	require.NoError(t, err)
	numbered(t, l, 100, 110)
	var held []string
	require.NoError(t, s.Read(t.Context(), func(e Entry) error { held = append(held, string(e.Line)); return nil }))
	assert.Equal(t, all, held)

	// One that is damaged hides none of the others.
	require.NoError(t, os.WriteFile(path+".2.gz", []byte("\x1f\x8b\x08 nothing"), 0o640))
	left := readAll(t, l, ReadOptions{Tail: -1})
	assert.Equal(t, "line 109\n", left[len(left)-1])
	assert.Less(t, len(left), len(all)+10)
	require.NoError(t, l.Remove())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestWhatIsWrittenWhileFilesAreCompressedIsFollowed(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "log"), Options{MaxSize: 4000, MaxFiles: 50, Compress: true})
	require.NoError(t, l.Open())
	var got []string
	var reader sync.WaitGroup
	reader.Go(func() {
		_ = l.Read(context.Background(), ReadOptions{Tail: -1, Follow: true}, func(e Entry) error { got = append(got, string(e.Line)); return nil })
	})
	numbered(t, l, 0, 2000)
	require.NoError(t, l.Close())
	reader.Wait()
	l.Wait()
	require.Len(t, got, 2000)
	for i, line := range got {
		require.Equal(t, fmt.Sprintf("line %d\n", i), line)
	}
	assert.Equal(t, got, readAll(t, l, ReadOptions{Tail: -1}))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2020-01-01T00:00:00Z"}`+"\n"), -1)
	f.Add([]byte("\n\n{}\nnull\n"), 2)
	f.Fuzz(func(t *testing.T, content []byte, tail int) {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		l := New(path, Options{MaxFiles: 2, Compress: true})
		require.NoError(t, os.WriteFile(path+".1.gz", content, 0o600))
		_ = l.Read(t.Context(), ReadOptions{Tail: tail}, func(Entry) error { return nil })
		require.NoError(t, l.Open())
		require.NoError(t, l.Append(Entry{Stream: Stdout, Time: time.Unix(1, 0), Line: []byte("last\n")}))
		last, ok := l.Last()
		require.True(t, ok)
		require.Equal(t, "last\n", string(last.Line))
		require.NoError(t, l.Close())
	})
}
