package containerdtest

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// applets are the names under which the image has its one program.
var applets = strings.Fields("sh cat chmod dd echo env false grep hostname httpd id kill ls mkdir ps readlink rm sleep stat stty touch true tty unshare wc yes")

// Box is an image with one static program, e2e/box: a shell with the usual
// small commands. It has a user "app" (1000), a file /vol/from-image and the
// command sh.
func Box(t testing.TB) v1.Image {
	t.Helper()
	binary, err := os.ReadFile(program(t, "box", ".", "./e2e/box"))
	require.NoError(t, err)
	entries := []tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "root/", Typeflag: tar.TypeDir, Mode: 0o700},
		{Name: "vol/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "proc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "sys/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "dev/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "bin/box", Typeflag: tar.TypeReg, Mode: 0o755},
		{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "etc/group", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "vol/from-image", Typeflag: tar.TypeReg, Mode: 0o644},
	}
	for _, a := range applets {
		entries = append(entries, tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "box", Mode: 0o777})
	}
	img := Image(t, Layer(t, entries, map[string]string{
		"bin/box":        string(binary),
		"etc/passwd":     "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n",
		"etc/group":      "root:x:0:\napp:x:1000:\n",
		"vol/from-image": "from the image\n",
	}))
	img, err = mutate.Config(img, v1.Config{
		Env: []string{"PATH=/bin", "FROM_IMAGE=yes"}, Cmd: []string{"sh"}, WorkingDir: "/",
		Labels: map[string]string{"org.example.box": "1"},
	})
	require.NoError(t, err)
	return img
}

// Image stacks layers.
func Image(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	return img
}

// Layer makes a layer from tar entries; text holds what is in the files.
func Layer(t testing.TB, entries []tar.Header, text map[string]string) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range entries {
		content := text[h.Name]
		h.Size = int64(len(content))
		require.NoError(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	require.NoError(t, err)
	return l
}

// Archive is an image as docker save writes it.
func Archive(t testing.TB, reference string, img v1.Image) io.Reader {
	t.Helper()
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, tarball.Write(tag, img, &buf))
	return &buf
}

// Import puts an image straight into an engine, unpacked, under the name that
// Docker would normalise reference to.
func Import(t testing.TB, e *containerd.Engine, reference string, img v1.Image) client.Image {
	t.Helper()
	imported, err := e.Client().Import(t.Context(), Archive(t, reference, img))
	require.NoError(t, err)
	require.Len(t, imported, 1)
	image := client.NewImage(e.Client(), imported[0])
	require.NoError(t, image.Unpack(t.Context(), e.Snapshotter()))
	return image
}
