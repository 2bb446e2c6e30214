package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/decompress"
)

// ImportOptions are what an image is made from.
type ImportOptions struct {
	// Source is a tar of a root filesystem, plain or compressed with gzip,
	// bzip2, xz or zstd.
	Source io.Reader
	// Target is the image's name; nil leaves it without one.
	Target reference.NamedTagged
	// Changes are instructions of a Dockerfile.
	Changes []string
	// Message is the comment of the image's only layer.
	Message string
	// Platform that the files are for; nil means this host's.
	Platform *ocispec.Platform
}

// Import makes an image of one layer from an archive of files and returns its
// ID. The same archive makes the same layer. When it fails nothing is left.
func (s *Service) Import(ctx context.Context, o ImportOptions) (_ digest.Digest, err error) {
	defer func() { err = explain(err) }()
	spec := dockerspec.DockerOCIImage{}
	spec.Platform = platforms.DefaultSpec()
	if o.Platform != nil {
		spec.Platform = platforms.Normalize(*o.Platform)
	}
	if !containerd.Platform().Match(spec.Platform) {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot import an image for %s: this host runs %s", platforms.Format(spec.Platform), platforms.Format(platforms.DefaultSpec())))
	}
	if err := applyChanges(&spec.Config, o.Changes); err != nil {
		return "", err
	}
	ctx, release, err := s.lease(s.engine.Context(ctx), opImport)
	if err != nil {
		return "", err
	}
	defer func() { release(err != nil) }()
	layer, err := s.importLayer(ctx, o.Source)
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	spec.Created = &now
	spec.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}}
	spec.History = []ocispec.History{{Created: &now, Comment: o.Message}}
	i, err := s.assemble(ctx, spec, []ocispec.Descriptor{layer}, false)
	if err != nil {
		return "", err
	}
	if err := s.keep(ctx, i, o.Target); err != nil {
		return "", err
	}
	s.publish(dockerevents.ActionImport, i, i.ID.String())
	return i.ID, nil
}

// importLayer stores an archive as a plain layer, however it came.
func (s *Service) importLayer(ctx context.Context, r io.Reader) (ocispec.Descriptor, error) {
	plain, err := decompress.NewReader(r)
	if err != nil {
		return ocispec.Descriptor{}, badTar(err)
	}
	defer plain.Close()
	return s.storePlain(ctx, func(w io.Writer) error { return readTar(io.TeeReader(plain, w)) })
}

// readTar reads an archive to its end and refuses what is none.
func readTar(r io.Reader) error {
	entries := tar.NewReader(r)
	for {
		_, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return badTar(err)
		}
	}
	_, err := io.Copy(io.Discard, r) // what pads it
	return err
}

func badTar(err error) error {
	if isFull(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot read the archive: %s: give a tar of a root filesystem, plain or compressed", err))
}
