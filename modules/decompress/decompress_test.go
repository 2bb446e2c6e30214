package decompress

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const text = "hello, container\n"

func gzipped(t testing.TB) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, o ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, o...)
	require.NoError(t, err)
	return w.EncodeAll([]byte(text), nil)
}

// What the programs bzip2 and xz make of text.
const (
	bzip2ed = "QlpoOTFBWSZTWdEuTiUAAAPRgAAQQAQqZZQAIAAimTAPVCAaAN9o9k1gWo0/F3JFOFCQ0S5OJQ=="
	xzed    = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAQaGVsbG8sIGNvbnRhaW5lcgoAAAAAIb7lsJ/tuTEAASkRMgpwDh+2830BAAAAAARZWg=="
)

func decode(t testing.TB, encoded string) []byte {
	b, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	return b
}

func TestEveryFormatIsReadByItsBeginning(t *testing.T) {
	for name, stream := range map[string][]byte{
		"plain": []byte(text), "gzip": gzipped(t), "zstd": zstded(t), "bzip2": decode(t, bzip2ed), "xz": decode(t, xzed),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(stream))
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			assert.Equal(t, text, string(got))
			assert.NoError(t, r.Close())
			if name == "plain" {
				return
			}
			r, err = NewReader(bytes.NewReader(stream[:len(stream)-6]))
			if err == nil {
				_, err = io.ReadAll(r)
			}
			assert.Error(t, err, "a stream that breaks off")
		})
	}
}

func TestShortStreamsAreNoArchives(t *testing.T) {
	for _, s := range []string{"", "a", "\x1f\x8b"} {
		r, err := NewReader(strings.NewReader(s))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, s, string(got))
	}
}

// A few bytes must not make the daemon use gigabytes.
func TestMemoryIsBounded(t *testing.T) {
	large := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xb8}, make([]byte, 32)...) // a window of 8 GiB
	r, err := NewReader(bytes.NewReader(large))
	if err == nil {
		_, err = io.ReadAll(r)
	}
	assert.ErrorContains(t, err, "window")

	// The size of the dictionary is behind the filter's id and size; the
	// header's checksum is made anew.
	huge := decode(t, xzed)
	at := bytes.Index(huge, []byte{0x21, 0x01})
	require.Positive(t, at)
	huge[at+2] = 40 // 4 GiB
	fixHeader(huge)
	_, err = NewReader(bytes.NewReader(huge))
	assert.ErrorContains(t, err, "dictionary size exceeds max")
}

// fixHeader makes the checksum of an xz stream's first block header right.
func fixHeader(stream []byte) {
	const start = 12 // behind the stream's header
	end := start + (int(stream[start])+1)*4 - 4
	binary.LittleEndian.PutUint32(stream[end:], crc32.ChecksumIEEE(stream[start:end]))
}

func FuzzNewReader(f *testing.F) {
	f.Add([]byte(text))
	f.Add(gzipped(f))
	f.Add(zstded(f))
	f.Add(decode(f, bzip2ed))
	f.Add(decode(f, xzed))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r, err := NewReader(bytes.NewReader(stream))
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, r, 1<<20)
		_ = r.Close() // a format may say again what was wrong
	})
}
