package images

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// Image is one record of containerd, opened for one platform: this host's
// when the image has it, else the one whose content is here.
type Image struct {
	client.Image

	// ID is what Docker's clients identify the image by: the digest of its
	// configuration.
	ID digest.Digest
	// Spec is the configuration file, and Config the part of it that
	// containers inherit.
	Spec   dockerspec.DockerOCIImage
	Config dockerspec.DockerOCIImageConfig
	// Reference is the normalised name; empty when the image has none or was
	// asked for by ID.
	Reference string
	// Manifest is the platform's manifest, and Layers are its layers.
	Manifest ocispec.Descriptor
	Layers   []ocispec.Descriptor

	record images.Image
}

// maxMetadata bounds manifests, indexes and configurations: they are read
// into memory, and come from strangers.
const maxMetadata = 8 << 20

// metadata reads blobs that are not layers.
type metadata struct{ content.Store }

// ReaderAt refuses blobs that cannot be what they are said to be.
func (m metadata) ReaderAt(ctx context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	r, err := m.Store.ReaderAt(ctx, d)
	if err == nil && r.Size() > maxMetadata {
		_ = r.Close()
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s %s has %d bytes: metadata of images may have %d", d.MediaType, d.Digest, r.Size(), maxMetadata))
	}
	return r, err
}

func (s *Service) metadata() metadata { return metadata{s.client().ContentStore()} }

// anyPlatform prefers this host's platform and takes every other one.
func anyPlatform() platforms.MatchComparer { return preferring{containerd.Platform()} }

type preferring struct{ platforms.MatchComparer }

func (preferring) Match(ocispec.Platform) bool { return true }

// open reads a record for the best platform that matches.
func (s *Service) open(ctx context.Context, record images.Image, match platforms.MatchComparer) (*Image, error) {
	store := s.metadata()
	desc, manifest, err := findManifest(ctx, store, record.Target, match)
	if err != nil {
		return nil, err
	}
	if kind := manifest.Config.MediaType; !images.IsConfigType(kind) { // registries keep other things, too
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s is not an image of a container but %q", record.Name, kind))
	}
	text, err := content.ReadBlob(ctx, store, manifest.Config)
	if err != nil {
		return nil, err
	}
	i := &Image{ID: manifest.Config.Digest, Manifest: desc, Layers: manifest.Layers, record: record}
	if err := json.Unmarshal(text, &i.Spec); err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("configuration %s of image %s: %s", manifest.Config.Digest, record.Name, err))
	}
	i.Config = i.Spec.Config
	platform := i.Spec.Platform
	if desc.Platform != nil {
		platform = *desc.Platform
	}
	i.Image = client.NewImageWithPlatform(s.client(), record, containerd.AnyUnnamed(platforms.OnlyStrict(platform)))
	if !dangling(record.Name) {
		i.Reference = record.Name
	}
	return i, nil
}

// findManifest descends from a manifest or index to the manifest of the best
// platform that matches and is here.
func findManifest(ctx context.Context, store metadata, d ocispec.Descriptor, match platforms.MatchComparer) (ocispec.Descriptor, ocispec.Manifest, error) {
	var m ocispec.Manifest
	text, err := content.ReadBlob(ctx, store, d)
	if err != nil {
		return d, m, err
	}
	switch {
	case images.IsManifestType(d.MediaType):
		err := json.Unmarshal(text, &m)
		return d, m, err
	case images.IsIndexType(d.MediaType):
		var index ocispec.Index
		if err := json.Unmarshal(text, &index); err != nil {
			return d, m, err
		}
		for _, child := range candidates(index.Manifests, match) {
			d, m, err := findManifest(ctx, store, child, match)
			if !errdefs.IsNotFound(err) {
				return d, m, err
			}
		}
		return d, m, errNoPlatform
	}
	return d, m, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s is not an image but %q", d.Digest, d.MediaType))
}

var errNoPlatform = fmt.Errorf("no matching manifest: %w", errdefs.ErrNotFound)

// candidates are the images in an index that match, best first. Attestations
// say that they are for no platform.
func candidates(all []ocispec.Descriptor, match platforms.MatchComparer) []ocispec.Descriptor {
	var found []ocispec.Descriptor
	for _, d := range all {
		if d.Platform == nil || (d.Platform.OS != "unknown" && match.Match(*d.Platform)) {
			found = append(found, d)
		}
	}
	sort.SliceStable(found, func(i, j int) bool {
		a, b := found[i].Platform, found[j].Platform
		return a != nil && (b == nil || match.Less(*a, *b))
	})
	return found
}

// Unpack makes the layers into snapshots of a snapshotter, if they are not.
func (s *Service) Unpack(ctx context.Context, i *Image, snapshotter string) error {
	if done, err := i.IsUnpacked(ctx, snapshotter); err == nil && done {
		return nil
	}
	if err := i.Image.Unpack(ctx, snapshotter); err != nil {
		return fmt.Errorf("unpack image %s into %s: %w", i.Name(), snapshotter, err)
	}
	return nil
}

// put makes a record, or points the one of its name to the new target. What
// the name stood for stays, without one, when containers use it.
func (s *Service) put(ctx context.Context, record images.Image) (images.Image, error) {
	store := s.client().ImageService()
	for {
		old, err := store.Get(ctx, record.Name)
		switch {
		case errdefs.IsNotFound(err):
			made, err := store.Create(ctx, record)
			if !errdefs.IsAlreadyExists(err) {
				return made, err
			}
			continue // somebody was quicker
		case err != nil:
			return record, err
		case old.Target.Digest == record.Target.Digest:
			return old, nil
		}
		if err := s.keepUnnamed(ctx, old); err != nil {
			return record, err
		}
		made, err := store.Update(ctx, record, "target")
		if !errdefs.IsNotFound(err) {
			return made, err
		}
	}
}

// danglingPrefix begins the names of records that stand for no name. A
// reference has no "<".
const danglingPrefix = "<none>@"

func dangling(name string) bool { return strings.HasPrefix(name, danglingPrefix) }

// keepUnnamed keeps an image that is about to lose a name, unless it has others.
func (s *Service) keepUnnamed(ctx context.Context, old images.Image) error {
	store := s.client().ImageService()
	same, err := store.List(ctx, "target.digest=="+old.Target.Digest.String())
	if err != nil || len(same) > 1 {
		return err
	}
	_, err = store.Create(ctx, images.Image{Name: danglingPrefix + old.Target.Digest.String(), Target: old.Target})
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}
