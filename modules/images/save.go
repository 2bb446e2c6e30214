package images

import (
	"archive/tar"
	"context"
	"io"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerevents "github.com/moby/moby/api/types/events"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Save writes images into an archive that docker load, OCI tools and Load
// read: an OCI layout, whose blobs Docker's manifest.json names, too. A name
// without a tag stands for all tags of its repository; an image asked for by
// ID is saved without a name. Nothing is written before all images are found.
//
// The same images give the same bytes.
func (s *Service) Save(ctx context.Context, names []string, w io.Writer) error {
	if len(names) == 0 {
		return errdefs.ErrInvalidArgument.WithMessage("no image to save: give the name or ID of at least one")
	}
	ctx = s.engine.Context(ctx)
	var l layout
	for _, name := range names {
		found, err := s.named(ctx, name)
		if err != nil {
			return err
		}
		for _, i := range found {
			l.add(i)
		}
	}
	ctx, release, err := s.hold(ctx, opSave, l.images...)
	if err != nil {
		return err
	}
	defer release(false)
	blobs, err := s.blobs(ctx, &l)
	if err != nil {
		return err
	}
	if err := s.writeLayout(ctx, tar.NewWriter(w), &l, blobs); err != nil {
		return err
	}
	for _, i := range l.distinct() {
		s.publish(dockerevents.ActionSave, i, i.ID.String())
	}
	return nil
}

// named finds what a name or ID stands for when images are saved.
func (s *Service) named(ctx context.Context, name string) ([]*Image, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err == nil && reference.IsNameOnly(named) {
		if found, err := s.tagged(ctx, named); !errdefs.IsNotFound(err) {
			return found, err
		} // else it may be an ID
	}
	i, err := s.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, byDigest := named.(reference.Digested); byDigest {
		i.Reference = ""
	}
	return []*Image{i}, nil
}

// blobs lists what belongs to the images and is here, each blob once.
func (s *Service) blobs(ctx context.Context, l *layout) ([]ocispec.Descriptor, error) {
	var found []ocispec.Descriptor
	known := map[string]bool{}
	handler := images.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		if known[d.Digest.String()] {
			return nil, nil
		}
		known[d.Digest.String()] = true
		info, err := s.client().ContentStore().Info(ctx, d.Digest)
		if errdefs.IsNotFound(err) { // of a platform that was not pulled
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		d.Size = info.Size
		found = append(found, d)
		return images.Children(ctx, s.metadata(), d)
	})
	for _, i := range l.images {
		if err := images.Walk(ctx, handler, i.record.Target); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b ocispec.Descriptor) int {
		if a.Digest < b.Digest {
			return -1
		}
		return 1 // no two are the same
	})
	return found, nil
}

// writeLayout writes the archive, what describes the blobs first.
func (s *Service) writeLayout(ctx context.Context, w *tar.Writer, l *layout, blobs []ocispec.Descriptor) error {
	if err := l.writeMetadata(w); err != nil {
		return err
	}
	for _, d := range blobs {
		if err := w.WriteHeader(&tar.Header{Name: blobPath(d.Digest), Typeflag: tar.TypeReg, Mode: 0o444, Size: d.Size}); err != nil {
			return err
		}
		if err := s.copyBlob(ctx, w, d); err != nil {
			return err
		}
	}
	return w.Close()
}

func (s *Service) copyBlob(ctx context.Context, w io.Writer, d ocispec.Descriptor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := s.client().ContentStore().ReaderAt(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, content.NewReader(r))
	return err
}
