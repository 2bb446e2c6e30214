package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/decompress"
)

// Load reads images from an archive as docker save or an OCI tool writes it,
// compressed or not, unpacks them and gives them the names that the archive
// says. It returns the names, or IDs of images without one. progress may be
// nil. An archive that cannot be read leaves nothing behind.
//
// Archives come from strangers: nothing of one is written anywhere but into
// the content store, under its digest, and only its metadata, of bounded size,
// is read into memory.
func (s *Service) Load(ctx context.Context, r io.Reader, progress func(jsonstream.Message)) (_ []string, err error) {
	if progress == nil {
		progress = func(jsonstream.Message) {}
	}
	defer func() { err = explain(err) }()
	ctx, release, err := s.lease(s.engine.Context(ctx), opLoad)
	if err != nil {
		return nil, err
	}
	defer func() { release(err != nil) }()

	plain, err := decompress.NewReader(r)
	if err != nil {
		return nil, badArchive(err)
	}
	defer plain.Close()
	checked := screened(plain)
	defer checked.Close()
	index, err := archive.ImportIndex(ctx, s.client().ContentStore(), checked)
	if err != nil {
		return nil, badArchive(err)
	}
	contained, err := s.contained(ctx, index)
	if err != nil {
		return nil, err
	}
	// All of them are made ready before the first one is named.
	for _, i := range contained {
		if err := s.Unpack(ctx, i, s.engine.Snapshotter()); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(contained))
	told := map[digest.Digest]bool{}
	for _, i := range contained {
		name, err := s.nameLoaded(ctx, i)
		if err != nil {
			return nil, err
		}
		what := "Loaded image: "
		if i.Reference == "" {
			what = "Loaded image ID: "
		}
		progress(jsonstream.Message{Stream: what + name + "\n"})
		names = append(names, name)
		if !told[i.ID] {
			told[i.ID] = true
			s.publish(dockerevents.ActionLoad, i, i.ID.String())
		}
	}
	return names, nil
}

func badArchive(err error) error {
	if isFull(err) {
		return err
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot read the image archive: %s: give an archive made with docker save, or an OCI layout in a tar", err))
}

// contained opens the images of a loaded archive and ties together what
// belongs to each, for the garbage collector.
func (s *Service) contained(ctx context.Context, desc ocispec.Descriptor) ([]*Image, error) {
	store := s.metadata()
	text, err := content.ReadBlob(ctx, store, desc)
	if err != nil {
		return nil, badArchive(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, badArchive(err)
	}
	// An index lists every platform, an archive often has only one of them.
	children := images.SetChildrenLabels(store, images.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		found, err := images.Children(ctx, store, d)
		if errdefs.IsNotFound(err) && d.Platform != nil {
			return nil, images.ErrSkipDesc
		}
		return found, err
	}))
	var all []*Image
	for _, m := range index.Manifests {
		if err := images.Walk(ctx, s.present(children), m); err != nil {
			return nil, badArchive(err)
		}
		name, err := loadedName(m)
		if err != nil {
			return nil, err
		}
		m.Annotations, m.Platform = nil, nil
		i, err := s.open(ctx, images.Image{Name: name, Target: m}, anyPlatform())
		if err != nil {
			return nil, badArchive(err)
		}
		if len(i.Layers) != len(i.Spec.RootFS.DiffIDs) {
			return nil, badArchive(fmt.Errorf("image %s has %d layers, its configuration says %d", i.ID, len(i.Layers), len(i.Spec.RootFS.DiffIDs)))
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, errdefs.ErrInvalidArgument.WithMessage("the image archive has no images")
	}
	return all, nil
}

// present leaves out the children that an archive does not have, so that no
// label refers to nothing.
func (s *Service) present(h images.HandlerFunc) images.HandlerFunc {
	store := s.client().ContentStore()
	return func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		children, err := h(ctx, d)
		if !images.IsIndexType(d.MediaType) {
			return children, err
		}
		return slices.DeleteFunc(children, func(c ocispec.Descriptor) bool {
			_, err := store.Info(ctx, c.Digest)
			return errdefs.IsNotFound(err)
		}), err
	}
}

// loadedName is the name that an archive gives to one of its images; without
// one the record gets a name that is none.
func loadedName(d ocispec.Descriptor) (string, error) {
	name := d.Annotations[images.AnnotationImageName]
	if name == "" {
		return danglingPrefix + d.Digest.String(), nil
	}
	named, err := parse(name)
	if err != nil {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("the image archive has an image with the name %q: %s", name, err))
	}
	return named.String(), nil
}

// nameLoaded makes the record of a loaded image.
func (s *Service) nameLoaded(ctx context.Context, i *Image) (string, error) {
	record, err := s.put(ctx, i.record)
	if err != nil {
		return "", err
	}
	i.record = record
	name := i.ID.String()
	if i.Reference != "" {
		name = familiar(i.Reference)
	}
	return name, nil
}

// familiar is the short form of a normalised name.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}
