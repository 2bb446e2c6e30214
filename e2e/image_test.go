package e2e

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// The applets under which an image has its one program.
var applets = strings.Fields("sh cat chmod dd env false get httpd id ifaces hostname kill ls mkdir nc ps readlink resolve rm sleep stat stty touch true tty unshare wc yes echo grep")

// boxImage is the image of the tests: box under the names of its applets, a
// user "app" (uid 1000), a volume at /vol with a file in it.
var boxImage = sync.OnceValues(func() (v1.Image, error) {
	program, err := os.ReadFile(built.box)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, dir := range []string{"bin/", "etc/", "tmp/", "root/", "vol/", "proc/", "sys/", "dev/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: mode})
	}
	file := func(name, content string, mode int64) {
		w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))})
		io.WriteString(w, content)
	}
	file("bin/box", string(program), 0o755)
	for _, a := range applets {
		w.WriteHeader(&tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "box", Mode: 0o777})
	}
	file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n", 0o644)
	file("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n", 0o644)
	file("vol/from-image", "from the image\n", 0o644)
	if err := w.Close(); err != nil {
		return nil, err
	}
	return imageOf(layer.Bytes(), v1.Config{
		Env: []string{"PATH=/bin", "FROM_IMAGE=yes"}, Cmd: []string{"sh"}, WorkingDir: "/",
		Labels: map[string]string{"org.example.box": "1"},
	})
})

// imageOf is an image of one layer, a tar file.
func imageOf(layer []byte, config v1.Config) (v1.Image, error) {
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	img, err = mutate.Config(img, config)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file.OS, file.Architecture = "linux", runtime.GOARCH
	return mutate.ConfigFile(img, file)
}

// loopbackRegistry starts a registry and returns its host:port.
func loopbackRegistry(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push puts an image into a registry and returns its reference.
func push(t testing.TB, host, repo string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(host+"/"+repo, name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img))
	return ref.String()
}

// archive returns an image as docker save writes it.
func archive(t testing.TB, reference string, img v1.Image) io.Reader {
	t.Helper()
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, tarball.Write(tag, img, &buf))
	return &buf
}
