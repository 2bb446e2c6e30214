package logfile

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compare checks an entry's encoding against encoding/json's.
func compare(t *testing.T, e Entry) {
	t.Helper()
	want, wantErr := json.Marshal(wire{Log: string(e.Line), Stream: e.Stream.String(), Attrs: e.Attrs, Time: e.Time.UTC(), Taken: e.Taken})
	got, err := e.append([]byte("before "))
	if wantErr != nil {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, "before "+string(want)+"\n", string(got))
}

func TestEntriesAreEncodedAsJSON(t *testing.T) {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
		compare(t, Entry{Stream: Stdout, Time: noon, Line: []byte{byte(b)}})
		compare(t, Entry{Stream: Stderr, Time: noon, Line: []byte{0xe2, 0x80, byte(b), 'x'}})
	}
	for _, line := range [][]byte{nil, all, []byte("plain"), []byte("é\u2028\u2029\u2030 \ufffd 𝄞 \xf0\x9d\x84"), []byte("\xed\xa0\x80 \xc0\x80")} {
		compare(t, Entry{Stream: Stdout, Time: noon, Line: line, Attrs: map[string]string{"b": "<é>", "a": ""}, Taken: Taken{1, 1 << 60}})
	}
	for _, at := range []time.Time{{}, noon.Add(-5), time.Unix(0, 0), noon.In(time.FixedZone("east", 3600)), noon.AddDate(9000, 0, 0)} {
		compare(t, Entry{Stream: Stdout, Time: at})
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("a\n"), int64(0), int64(0), true)
	f.Add([]byte("\x00\xff\u2028<"), int64(1<<60), int64(-5), false)
	f.Fuzz(func(t *testing.T, line []byte, nanos, taken int64, attrs bool) {
		e := Entry{Stream: Stdout, Time: time.Unix(0, nanos), Line: line, Taken: Taken{taken, 0}}
		if attrs {
			e.Attrs = map[string]string{string(line): string(line)}
		}
		compare(t, e)
		text, err := e.append(nil)
		require.NoError(t, err)
		back, err := parse(text)
		require.NoError(t, err)
		assert.Equal(t, utf8.Valid(line), bytes.Equal(back.Line, line), "what is text comes back as it was")
	})
}

func BenchmarkEncode(b *testing.B) {
	for name, text := range map[string][]byte{"text": bytes.Repeat([]byte("abcdefghi "), 10), "zeros": make([]byte, MaxLine)} {
		e := Entry{Stream: Stdout, Time: noon, Line: text, Taken: Taken{12345, 67}}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var buf []byte
			for b.Loop() {
				buf, _ = e.append(buf[:0])
			}
		})
	}
}
