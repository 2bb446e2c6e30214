package sidecars

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func said(chunks ...string) (lines []string, o *output) {
	core, logs := observer.New(zap.InfoLevel)
	o = newOutput(zap.New(core))
	for _, c := range chunks {
		_, _ = o.Write([]byte(c))
	}
	o.flush()
	for _, e := range logs.All() {
		lines = append(lines, e.ContextMap()["line"].(string))
	}
	return lines, o
}

func TestOutputIsLoggedLineByLine(t *testing.T) {
	lines, o := said("one\ntw", "o\r\n\n", "bad \xff\nlast")
	assert.Equal(t, []string{"one", "two", "bad \uFFFD", "last"}, lines)
	assert.Equal(t, `; it said "one\ntwo\nbad �\nlast"`, o.lastWords())
}

func TestOutputIsBounded(t *testing.T) {
	lines, o := said(strings.Repeat("x", 3*longest), strings.Repeat("y", longest)+"\nnext\n", strings.Repeat("z\n", 2*kept))
	assert.Equal(t, strings.Repeat("x", longest)+"…", lines[0])
	assert.Equal(t, "next", lines[1])
	assert.Len(t, o.last, kept)
}

func FuzzOutput(f *testing.F) {
	f.Add("a\nb", "c\n")
	f.Add(strings.Repeat("x", longest+1), "\n\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		split, _ := said(a, b)
		whole, _ := said(a + b)
		assert.Equal(t, whole, split, "however it is cut")
		for _, line := range whole {
			assert.LessOrEqual(t, len(line), 3*longest+len("…"))
			assert.NotContains(t, line, "\n")
		}
	})
}

func BenchmarkOutput(b *testing.B) {
	o := newOutput(zap.NewNop())
	line := []byte(strings.Repeat("x", 100) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = o.Write(line)
	}
}
