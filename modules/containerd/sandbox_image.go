package containerd

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/assets"
)

// sandboxImage is the name of the image of pods' first process and the program
// that it is made of, which is empty for an image that is to be pulled. An
// empty name means containerd's default.
func (e *Engine) sandboxImage() (name, program string) {
	c := e.config.CRI
	if c.SandboxImage != "" {
		return c.SandboxImage, ""
	}
	program = cmp.Or(c.Pause, assets.Pause)
	if program == "" {
		return "", ""
	}
	return "pouchfx.local/pause:" + digest.FromString(program).Encoded()[:12], program
}

// writeSandboxImage puts an image of the program into the content store, so
// that pods need no network, unless it is there. CRI, which is not running yet,
// finds it when it starts.
func (e *Engine) writeSandboxImage(ctx context.Context, name, program string) error {
	image, err := e.podClient.GetImage(ctx, name)
	if errdefs.IsNotFound(err) {
		image, err = importImage(ctx, e.podClient, name, program)
	}
	if err != nil {
		return err
	}
	if unpacked, err := image.IsUnpacked(ctx, e.config.Snapshotter); err != nil || unpacked {
		return err
	}
	return image.Unpack(ctx, e.config.Snapshotter)
}

// importImage makes an image of one program, /pause.
func importImage(ctx context.Context, c *client.Client, name, program string) (client.Image, error) {
	// Until the image is there nothing else keeps its parts from the collector.
	ctx, done, err := c.WithLease(ctx, leases.WithRandomID(), leases.WithExpiration(time.Hour))
	if err != nil {
		return nil, err
	}
	defer func() { _ = done(ctx) }() // or it expires
	target, err := writeImage(ctx, c.ContentStore(), program)
	if err != nil {
		return nil, err
	}
	record, err := c.ImageService().Create(ctx, images.Image{
		Name: name, Target: target,
		Labels: map[string]string{"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"},
	})
	return client.NewImage(c, record), err
}

// writeImage writes the parts of the image; the labels on each keep those that
// it names.
func writeImage(ctx context.Context, store content.Store, program string) (manifest ocispec.Descriptor, err error) {
	layer, err := tarOf("pause", program)
	if err != nil {
		return manifest, err
	}
	layerDescriptor, err := writeBlob(ctx, store, ocispec.MediaTypeImageLayer, layer, nil)
	if err != nil {
		return manifest, err
	}
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		// As in Kubernetes' own image: the process needs no rights.
		Config: ocispec.ImageConfig{User: "65535:65535", Entrypoint: []string{"/pause"}, WorkingDir: "/"},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layerDescriptor.Digest}},
	})
	if err != nil {
		return manifest, err
	}
	configDescriptor, err := writeBlob(ctx, store, ocispec.MediaTypeImageConfig, config, nil)
	if err != nil {
		return manifest, err
	}
	text, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: configDescriptor, Layers: []ocispec.Descriptor{layerDescriptor},
	})
	if err != nil {
		return manifest, err
	}
	return writeBlob(ctx, store, ocispec.MediaTypeImageManifest, text, map[string]string{
		"containerd.io/gc.ref.content.config": configDescriptor.Digest.String(),
		"containerd.io/gc.ref.content.l.0":    layerDescriptor.Digest.String(),
	})
}

func writeBlob(ctx context.Context, store content.Store, mediaType string, text []byte, labels map[string]string) (ocispec.Descriptor, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	err := content.WriteBlob(ctx, store, d.Digest.String(), bytes.NewReader(text), d, content.WithLabels(labels))
	if err != nil {
		return d, fmt.Errorf("write %s: %w", mediaType, err)
	}
	return d, nil
}

// tarOf is an archive of one program. It is the same whenever it is made.
func tarOf(name, program string) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, program); err != nil {
		return nil, err
	}
	err := w.Close()
	return archive.Bytes(), err
}
