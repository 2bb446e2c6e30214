package demo

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageServer is a registry with one image, that of the guest, on loopback. It
// does what a pull asks of a registry and no more: a library that can do the
// rest would be in the memory of every daemon.
type imageServer struct {
	reference string // of the image
	digest    digest.Digest
	manifest  []byte
	blobs     map[string][]byte // by digest
	server    http.Server
	serving   sync.WaitGroup
}

const repository = "demo/guest"

// startRegistry makes the image and serves it until Close.
func startRegistry() (*imageServer, error) {
	r := &imageServer{blobs: map[string][]byte{}}
	if err := r.makeImage(); err != nil {
		return nil, fmt.Errorf("cannot make the image: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.reference = l.Addr().String() + "/" + repository + ":1"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {}) // yes, this is a registry
	mux.HandleFunc("GET /v2/"+repository+"/manifests/{which}", r.serveManifest)
	mux.HandleFunc("GET /v2/"+repository+"/blobs/{digest}", r.serveBlob)
	r.server = http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	r.serving.Go(func() { _ = r.server.Serve(l) }) // the pull tells what went wrong
	return r, nil
}

// Close ends the registry.
func (r *imageServer) Close() error {
	defer r.serving.Wait()
	return r.server.Close()
}

func (r *imageServer) serveManifest(w http.ResponseWriter, req *http.Request) {
	if which := req.PathValue("which"); which != "1" && which != r.digest.String() {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	w.Header().Set("Docker-Content-Digest", r.digest.String())
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(r.manifest))
}

func (r *imageServer) serveBlob(w http.ResponseWriter, req *http.Request) {
	blob, ok := r.blobs[req.PathValue("digest")]
	if !ok {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(blob))
}

// makeImage makes an image of one layer with one program.
func (r *imageServer) makeImage() error {
	layer, err := makeLayer()
	if err != nil {
		return err
	}
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/guest"}, Cmd: []string{"serve"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	})
	if err != nil {
		return err
	}
	r.manifest, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    r.keep(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{r.keep(ocispec.MediaTypeImageLayer, layer)},
	})
	r.digest = digest.FromBytes(r.manifest)
	return err
}

func (r *imageServer) keep(mediaType string, blob []byte) ocispec.Descriptor {
	d := digest.FromBytes(blob)
	r.blobs[d.String()] = blob
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(blob))}
}

func makeLayer() ([]byte, error) {
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
	err := w.Close()
	return layer.Bytes(), err
}
