package fsview

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree is a container's root filesystem in a directory, beside which is what
// must not be reached from it.
type tree struct {
	t             testing.TB
	root, outside string
}

func newTree(t testing.TB) *tree {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes mount namespaces")
	}
	dir := t.TempDir()
	tr := &tree{t, filepath.Join(dir, "root"), filepath.Join(dir, "outside")}
	for _, d := range []string{tr.root, tr.outside} {
		require.NoError(t, os.Mkdir(d, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(tr.outside, "secret"), []byte("secret"), 0o600))
	return tr
}

func (tr *tree) dir(name string) {
	require.NoError(tr.t, os.MkdirAll(filepath.Join(tr.root, name), 0o755))
}

func (tr *tree) file(name, text string) {
	tr.dir(filepath.Dir(name))
	require.NoError(tr.t, os.WriteFile(filepath.Join(tr.root, name), []byte(text), 0o644))
}

func (tr *tree) link(target, name string) {
	require.NoError(tr.t, os.Symlink(target, filepath.Join(tr.root, name)))
}

func (tr *tree) read(name string) string {
	b, err := os.ReadFile(filepath.Join(tr.root, name))
	require.NoError(tr.t, err)
	return string(b)
}

func (tr *tree) open(mounts ...Mount) *View {
	return tr.openWith(Options{Root: tr.root, Mounts: mounts})
}

func (tr *tree) openWith(o Options) *View {
	v, err := Open(o)
	require.NoError(tr.t, err)
	tr.t.Cleanup(func() { require.NoError(tr.t, v.Close()) })
	return v
}

// untouched checks that nothing outside the tree was changed.
func (tr *tree) untouched() {
	entries, err := os.ReadDir(tr.outside)
	require.NoError(tr.t, err)
	require.Len(tr.t, entries, 1)
	b, err := os.ReadFile(filepath.Join(tr.outside, "secret"))
	require.NoError(tr.t, err)
	require.Equal(tr.t, "secret", string(b))
}

// entry is one of an archive; its size is that of text.
type entry struct {
	tar.Header
	text string
}

func archive(t testing.TB, entries ...entry) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.text))
		if e.Mode == 0 {
			e.Mode = 0o644
		}
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := io.WriteString(w, e.text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return &b
}

func reg(name, text string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, text}
}

// packed is what Pack writes, by name.
func packed(t testing.TB, v *View, name string) (names []string, headers map[string]*tar.Header, texts map[string]string) {
	var b bytes.Buffer
	require.NoError(t, v.Pack(t.Context(), &b, name))
	return unpacked(t, &b)
}

func unpacked(t testing.TB, from io.Reader) (names []string, headers map[string]*tar.Header, texts map[string]string) {
	headers, texts = map[string]*tar.Header{}, map[string]string{}
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return names, headers, texts
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		names, headers[h.Name], texts[h.Name] = append(names, h.Name), h, string(text)
	}
}
