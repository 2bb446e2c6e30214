package images

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// gzipped are the media types of compressed layers for those of plain ones.
var gzipped = map[string]string{
	ocispec.MediaTypeImageLayer:        ocispec.MediaTypeImageLayerGzip,
	images.MediaTypeDockerSchema2Layer: images.MediaTypeDockerSchema2LayerGzip,
}

// compressed returns what goes to a registry of an image: its layers that were
// made here are compressed first. The image's names lead to the new manifest
// from then on, so that it is done once and the digest is the registry's; the
// ID stays. What came from elsewhere keeps its digests, compressed or not.
func (s *Service) compressed(ctx context.Context, i *Image) (target ocispec.Descriptor, err error) {
	target = i.record.Target
	if target.Digest != i.Manifest.Digest {
		return target, nil // images that are made here have no index
	}
	var manifest ocispec.Manifest
	changed := false
	text, err := content.ReadBlob(ctx, s.metadata(), target)
	if err != nil {
		return target, err
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return target, err
	}
	for n, l := range manifest.Layers {
		kind := gzipped[l.MediaType]
		if kind == "" {
			continue
		}
		info, err := s.client().ContentStore().Info(ctx, l.Digest)
		if errdefs.IsNotFound(err) || err == nil && info.Labels[madeHere] == "" {
			continue
		} else if err != nil {
			return target, err
		}
		if manifest.Layers[n], err = s.storeGzipped(ctx, l); err != nil {
			return target, fmt.Errorf("compress layer %s: %w", l.Digest, err)
		}
		manifest.Layers[n].MediaType, changed = kind, true
	}
	if !changed {
		return target, nil
	}
	made, err := s.writeJSON(ctx, target.MediaType, manifest)
	if err != nil {
		return target, err
	}
	store := s.metadata()
	if err := images.Walk(ctx, images.SetChildrenLabels(store, images.ChildrenHandler(store)), made); err != nil {
		return target, err
	}
	return made, s.retarget(ctx, target, made)
}

// retarget makes the names of a manifest lead to another of the same image.
func (s *Service) retarget(ctx context.Context, from, to ocispec.Descriptor) error {
	store := s.client().ImageService()
	records, err := store.List(ctx, "target.digest=="+from.Digest.String())
	if err != nil {
		return err
	}
	for _, r := range records {
		if dangling(r.Name) { // it is called by the manifest
			continue
		}
		r.Target = to
		if _, err := store.Update(ctx, r, "target"); err != nil && !errdefs.IsNotFound(err) { // it was removed
			return err
		}
	}
	return nil
}
