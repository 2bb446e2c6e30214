package logfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program's own lines are read fast, and so are those of dockerd.
func TestOwnLinesAreReadWithoutJSON(t *testing.T) {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	for _, e := range []Entry{
		{Stream: Stdout, Time: noon, Line: []byte("line\n"), Taken: Taken{1, 1 << 60}},
		{Stream: Stderr, Time: noon, Line: []byte("\"quoted\" \\ <é>\u2028 \ufffd 𝄞")},
		{Stream: Stdout, Time: noon, Line: []byte{}},
		{Stream: Stdout, Time: noon, Line: []byte(strings.ToValidUTF8(string(all), "\ufffd"))},
	} {
		line, err := e.append(nil)
		require.NoError(t, err)
		got, ok := parseOwn(line)
		assert.True(t, ok, "%s", line)
		assert.Equal(t, e, got)
	}
}

func TestWhatOthersWroteIsReadToo(t *testing.T) {
	for _, line := range []string{
		`{"log":"\ud834\udd1e\n","stream":"stdout","time":"2026-01-02T12:00:00Z"}`,
		`{"time":"2026-01-02T12:00:00Z", "stream":"stdout", "log":"\u0001\/"}`,
		`{"log":"a","stream":"stdout","attrs":{"a":"b"},"time":"2026-01-02T12:00:00Z"}`,
		`{"log":"a","stream":"stdout","time":"2026-01-02T12:00:00Z","taken":[-1,1e2]}`,
	} {
		_, ok := parseOwn([]byte(line))
		assert.False(t, ok, line)
		var w wire
		require.Equal(t, json.Unmarshal([]byte(line), &w) == nil, noError(parse([]byte(line))), line)
	}
}

func noError(_ Entry, err error) bool { return err == nil }

// FuzzParse: what stands in a log file may be anything.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"log":"a\n","stream":"stdout","time":"2026-01-02T12:00:00Z"}`,
		`{"log":"\u00e9\"\ufffd","stream":"stderr","time":"2026-01-02T12:00:00.123+01:00","taken":[1,20]}` + "\n",
		`{"log":"\ud834","stream":"stdout","time":"2026-01-02T12:00:00Z","taken":[01,99999999999999999999]}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if own, ok := parseOwn(text); ok {
			var w wire
			require.NoError(t, json.Unmarshal(text, &w))
			require.Equal(t, w, wire{Log: string(own.Line), Stream: own.Stream.String(), Time: own.Time, Taken: own.Taken})
		}
		e, err := parse(text)
		if err != nil {
			return
		}
		again, err := e.append(nil)
		if err != nil {
			return // a time that JSON cannot hold
		}
		_, err = parse(again)
		require.NoError(t, err)
	})
}

func BenchmarkParse(b *testing.B) {
	line, err := Entry{Stream: Stdout, Time: noon, Line: bytes.Repeat([]byte("abcdefghi "), 10), Taken: Taken{12345, 67}}.append(nil)
	require.NoError(b, err)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
