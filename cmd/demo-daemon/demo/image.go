package demo

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// startRegistry starts a registry on loopback, in this process.
func startRegistry() *httptest.Server {
	return httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
}

// push makes the image of the guest and pushes it to the registry. It returns
// its reference and digest.
func push(ctx context.Context, server *httptest.Server) (reference, digest string, err error) {
	image, err := makeImage()
	if err != nil {
		return "", "", fmt.Errorf("cannot make the image: %w", err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://")+"/demo/guest:1", name.Insecure)
	if err != nil {
		return "", "", err
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", "", fmt.Errorf("cannot push the image: %w", err)
	}
	hash, err := image.Digest()
	return ref.String(), hash.String(), err
}

// makeImage makes an image of one layer with one program.
func makeImage() (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, dir := range []string{"data/", "dev/", "proc/", "sys/", "etc/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "guest", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(guest))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(guest); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/guest"}, Cmd: []string{"serve"}}
	return mutate.ConfigFile(image, config)
}
