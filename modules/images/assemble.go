package images

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerTypes are the media types of Docker's manifests for those of OCI's.
var dockerTypes = map[string]string{
	ocispec.MediaTypeImageManifest:  images.MediaTypeDockerSchema2Manifest,
	ocispec.MediaTypeImageConfig:    images.MediaTypeDockerSchema2Config,
	ocispec.MediaTypeImageLayer:     images.MediaTypeDockerSchema2Layer,
	ocispec.MediaTypeImageLayerGzip: images.MediaTypeDockerSchema2LayerGzip,
}

// assemble makes an image of layers, whose blobs are here, and unpacks it. The
// image has no record yet; the lease of ctx holds it. Its manifest is of
// Docker's kind if docker is set.
func (s *Service) assemble(ctx context.Context, spec dockerspec.DockerOCIImage, layers []ocispec.Descriptor, docker bool) (*Image, error) {
	typed := func(kind string) string {
		if other := dockerTypes[kind]; docker && other != "" {
			return other
		}
		return kind
	}
	config, err := s.writeJSON(ctx, typed(ocispec.MediaTypeImageConfig), spec)
	if err != nil {
		return nil, err
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: typed(ocispec.MediaTypeImageManifest), Config: config,
		Layers: make([]ocispec.Descriptor, 0, len(layers)),
	}
	for _, l := range layers {
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: typed(l.MediaType), Digest: l.Digest, Size: l.Size})
	}
	target, err := s.writeJSON(ctx, manifest.MediaType, manifest)
	if err != nil {
		return nil, err
	}
	store := s.metadata()
	if err := images.Walk(ctx, images.SetChildrenLabels(store, images.ChildrenHandler(store)), target); err != nil {
		return nil, err
	}
	i, err := s.open(ctx, images.Image{Name: danglingPrefix + target.Digest.String(), Target: target}, anyPlatform())
	if err != nil {
		return nil, err
	}
	return i, s.Unpack(ctx, i, s.engine.Snapshotter())
}

// writeJSON stores a part of an image that is no layer.
func (s *Service) writeJSON(ctx context.Context, mediaType string, v any) (ocispec.Descriptor, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	return d, content.WriteBlob(ctx, s.client().ContentStore(), "pouchfx-"+d.Digest.String(), bytes.NewReader(text), d)
}

// keep makes the record of an image that was assembled, with a name or, when
// target is nil, without.
func (s *Service) keep(ctx context.Context, i *Image, target reference.NamedTagged) error {
	record := i.record
	if target != nil {
		record.Name = target.String()
	}
	record, err := s.put(ctx, record)
	if err != nil {
		return fmt.Errorf("name image %s: %w", i.ID, err)
	}
	i.record = record
	if target != nil {
		i.Reference = record.Name
		s.publish(dockerevents.ActionTag, i, reference.FamiliarString(target))
	}
	return nil
}
