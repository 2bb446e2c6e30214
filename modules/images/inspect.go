package images

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/storage"
	"github.com/opencontainers/image-spec/identity"
)

// Inspect describes an image.
func (s *Service) Inspect(ctx context.Context, name string) (*image.InspectResponse, error) {
	f, err := s.family(ctx, name)
	if err != nil {
		return nil, err
	}
	size, err := s.newSizes().of(ctx, f.Image)
	if err != nil {
		return nil, err
	}
	tags, digests := f.names()
	r := &image.InspectResponse{
		ID:           f.ID.String(),
		RepoTags:     tags,
		RepoDigests:  digests,
		Author:       f.Spec.Author,
		Config:       &f.Config,
		Architecture: f.Spec.Architecture,
		Variant:      f.Spec.Variant,
		Os:           f.Spec.OS,
		OsVersion:    f.Spec.OSVersion,
		Size:         size,
		GraphDriver:  &storage.DriverData{Name: s.engine.Snapshotter(), Data: map[string]string{}},
		RootFS:       image.RootFS{Type: "layers"},
		Metadata:     image.Metadata{LastTagTime: f.record.UpdatedAt},
	}
	if f.Spec.Created != nil {
		r.Created = f.Spec.Created.Format(time.RFC3339Nano)
	}
	if n := len(f.Spec.History); n > 0 {
		r.Comment = f.Spec.History[n-1].Comment
	}
	for _, d := range f.Spec.RootFS.DiffIDs {
		r.RootFS.Layers = append(r.RootFS.Layers, d.String())
	}
	return r, nil
}

// family finds all records of the image with a name or ID.
func (s *Service) family(ctx context.Context, name string) (*family, error) {
	ctx = s.engine.Context(ctx)
	i, err := s.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := s.families(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.ID == i.ID {
			f.Image = i
			return f, nil
		}
	}
	return nil, noSuchImage(name) // removed meanwhile
}

// History tells how an image was made, the last step first.
func (s *Service) History(ctx context.Context, name string) ([]image.HistoryResponseItem, error) {
	f, err := s.family(ctx, name)
	if err != nil {
		return nil, err
	}
	sizes := s.newSizes()
	items := make([]image.HistoryResponseItem, 0, len(f.Spec.History))
	layer := 0
	for _, h := range f.Spec.History {
		item := image.HistoryResponseItem{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment}
		if h.Created != nil {
			item.Created = h.Created.Unix()
		}
		if !h.EmptyLayer && layer < len(f.Spec.RootFS.DiffIDs) {
			layer++
			if item.Size, err = sizes.layer(ctx, identity.ChainID(f.Spec.RootFS.DiffIDs[:layer])); err != nil {
				return nil, err
			}
		}
		items = append(items, item)
	}
	slices.Reverse(items)
	if len(items) > 0 {
		items[0].ID = f.ID.String()
		items[0].Tags, _ = f.names()
	}
	return items, nil
}
