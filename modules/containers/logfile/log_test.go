package logfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 5, time.UTC)

func line(i int) Entry {
	return Entry{Stream: Stdout, Time: noon.Add(time.Duration(i) * time.Second), Line: fmt.Appendf(nil, "line %d\n", i)}
}

func opened(t testing.TB, o Options) *Log {
	t.Helper()
	l := New(filepath.Join(t.TempDir(), "log"), o)
	require.NoError(t, l.Open())
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func read(t testing.TB, l *Log, o ReadOptions) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, l.Read(t.Context(), o, func(e Entry) error { text.Write(e.Line); return nil }))
	return text.String()
}

func TestTheFormatIsDockers(t *testing.T) {
	l := opened(t, Options{})
	require.NoError(t, l.Append(Entry{Stream: Stderr, Time: noon, Line: []byte("hé \"<\n"), Attrs: map[string]string{"k": "v"}}))
	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, map[string]any{"log": "hé \"<\n", "stream": "stderr", "time": "2026-01-02T12:00:00.000000005Z", "attrs": map[string]any{"k": "v"}}, got)
}

func TestTailSinceAndUntil(t *testing.T) {
	l := opened(t, Options{})
	for i := range 10 {
		require.NoError(t, l.Append(line(i)))
	}
	for _, c := range []struct {
		o    ReadOptions
		want string
	}{
		{ReadOptions{Tail: 2}, "line 8\nline 9\n"},
		{ReadOptions{Tail: 0}, ""},
		{ReadOptions{Tail: 10, Until: noon}, "line 0\n"},
		{ReadOptions{Tail: 11, Since: noon.Add(9 * time.Second)}, "line 9\n"},
		{ReadOptions{Tail: -1, Since: noon.Add(time.Second), Until: noon.Add(2 * time.Second)}, "line 1\nline 2\n"},
	} {
		assert.Equal(t, c.want, read(t, l, c.o), "%+v", c.o)
	}
}

func TestRotationKeepsTheNewestFiles(t *testing.T) {
	l := opened(t, Options{MaxSize: 300, MaxFiles: 3})
	for i := range 100 {
		require.NoError(t, l.Append(line(i)))
	}
	files, err := os.ReadDir(filepath.Dir(l.Path()))
	require.NoError(t, err)
	assert.Len(t, files, 3)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		assert.LessOrEqual(t, info.Size(), int64(300))
	}
	all := read(t, l, ReadOptions{Tail: -1})
	assert.True(t, strings.HasSuffix(all, "line 98\nline 99\n"), all)
	assert.Equal(t, "line 95\nline 96\nline 97\nline 98\nline 99\n", read(t, l, ReadOptions{Tail: 5}), "over the files' borders")
	require.NoError(t, l.Remove())
	files, err = os.ReadDir(filepath.Dir(l.Path()))
	require.NoError(t, err)
	assert.Empty(t, files)
}

func TestFollowingSeesAllThroughRotations(t *testing.T) {
	l := opened(t, Options{MaxSize: 1000, MaxFiles: 50})
	require.NoError(t, l.Append(line(0)))
	got, first := make(chan string, 1000), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		n := 0
		done <- l.Read(context.Background(), ReadOptions{Tail: -1, Follow: true}, func(e Entry) error {
			got <- string(e.Line)
			if n++; n == 1 {
				close(first)
			}
			return nil
		})
		close(got)
	}()
	<-first
	for i := 1; i < 300; i++ {
		require.NoError(t, l.Append(line(i)))
	}
	require.NoError(t, l.Close())
	require.NoError(t, <-done)
	i := 0
	for text := range got {
		require.Equal(t, fmt.Sprintf("line %d\n", i), text)
		i++
	}
	assert.Equal(t, 300, i)
}

func TestFollowingALogThatIsNotThereYet(t *testing.T) {
	l := opened(t, Options{})
	require.NoError(t, os.Remove(l.Path()))
	require.NoError(t, l.Close())
	assert.Empty(t, read(t, l, ReadOptions{Tail: -1, Follow: true}), "nothing runs: there is nothing to wait for")
	require.NoError(t, l.Open())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, l.Read(ctx, ReadOptions{Tail: 0, Follow: true}, nil), context.Canceled)
	stop := errors.New("stop")
	require.NoError(t, l.Append(line(1)))
	require.ErrorIs(t, l.Read(t.Context(), ReadOptions{Tail: -1, Follow: true}, func(Entry) error { return stop }), stop)
}

func TestHalfAnEntryOfACrashIsCutOff(t *testing.T) {
	l := opened(t, Options{})
	require.NoError(t, l.Append(line(1)))
	require.NoError(t, l.Close())
	f, err := os.OpenFile(l.Path(), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"log":"hal`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, l.Open())
	require.NoError(t, l.Append(line(2)))
	assert.Equal(t, "line 1\nline 2\n", read(t, l, ReadOptions{Tail: -1}))
}

func TestLinesAreCut(t *testing.T) {
	l := Lines{Stream: Stdout}
	assert.Empty(t, l.Write([]byte("be"), noon))
	assert.Equal(t, "be", string(l.Pending()))
	got := l.Write([]byte("gin\n\nnext"), noon.Add(time.Second))
	require.Len(t, got, 2)
	assert.Equal(t, "begin\n", string(got[0].Line))
	assert.Equal(t, noon, got[0].Time, "the time is that of the beginning")
	assert.Equal(t, "\n", string(got[1].Line))
	assert.Equal(t, "next", string(l.Rest()[0].Line))
	assert.Empty(t, l.Rest())
	long := l.Write([]byte(strings.Repeat("x", MaxLine+3)+"\n"), noon)
	require.Len(t, long, 2)
	assert.Len(t, long[0].Line, MaxLine)
	assert.Equal(t, "xxx\n", string(long[1].Line))
}

func BenchmarkAppend(b *testing.B) {
	l := opened(b, Options{})
	e := line(1)
	for b.Loop() {
		require.NoError(b, l.Append(e))
	}
}

func TestASnapshotHoldsWhatWasThere(t *testing.T) {
	l := opened(t, Options{MaxSize: 300, MaxFiles: 5})
	for i := range 8 {
		require.NoError(t, l.Append(line(i)))
	}
	s, err := l.Snapshot()
	require.NoError(t, err)
	for i := range 8 { // rotated meanwhile
		require.NoError(t, l.Append(line(100+i)))
	}
	var got []string
	require.NoError(t, s.Read(t.Context(), func(e Entry) error { got = append(got, string(e.Line)); return nil }))
	require.Len(t, got, 8)
	assert.Equal(t, "line 7\n", got[7])
	s, err = New(filepath.Join(t.TempDir(), "none"), Options{}).Snapshot()
	require.NoError(t, err)
	require.NoError(t, s.Read(t.Context(), nil))
}
