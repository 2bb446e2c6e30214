package images

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// ListOptions choose among the images.
type ListOptions struct {
	// All changes nothing: there are no intermediate images here.
	All bool
	// Filters are before, dangling, label, reference, since and until.
	Filters filters.Args
	// SharedSize asks for the bytes that each image shares with others.
	SharedSize bool
}

// family is the records of one image.
type family struct {
	*Image // the first one, with a name if any has
	all    []*Image
}

// families groups the records by ID, in a stable order.
func (s *Service) families(ctx context.Context) ([]*family, error) {
	byID := map[digest.Digest]*family{}
	var ordered []*family
	for i, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		f := byID[i.ID]
		if f == nil {
			f = &family{Image: i}
			byID[i.ID] = f
			ordered = append(ordered, f)
		}
		f.all = append(f.all, i)
	}
	return ordered, nil
}

// names returns the tags and digests of an image as Docker prints them.
func (f *family) names() (tags, digests []string) {
	tags, digests = []string{}, []string{}
	for _, i := range f.all {
		named, err := reference.ParseNormalizedNamed(i.Reference)
		if err != nil {
			continue // it has none
		}
		if _, ok := named.(reference.Tagged); ok {
			tags = append(tags, reference.FamiliarString(named))
		}
		if at := reference.FamiliarName(named) + "@" + i.record.Target.Digest.String(); !slices.Contains(digests, at) {
			digests = append(digests, at)
		}
	}
	return tags, digests
}

// List returns the images that pass the filters, the newest first.
func (s *Service) List(ctx context.Context, o ListOptions) ([]image.Summary, error) {
	if err := o.Filters.Validate("before", "dangling", "label", "reference", "since", "until"); err != nil {
		return nil, err
	}
	ctx = s.engine.Context(ctx)
	all, err := s.families(ctx)
	if err != nil {
		return nil, err
	}
	keep, err := s.filter(ctx, o.Filters)
	if err != nil {
		return nil, err
	}
	sizes := s.newSizes()
	list := []image.Summary{}
	for _, f := range all {
		if !keep(f) {
			continue
		}
		size, err := sizes.of(ctx, f.Image)
		if err != nil {
			return nil, err
		}
		tags, digests := f.names()
		if patterns := o.Filters.Get("reference"); len(patterns) > 0 {
			other := func(name string) bool { return !matches(patterns, name) }
			tags, digests = slices.DeleteFunc(tags, other), slices.DeleteFunc(digests, other)
		}
		list = append(list, image.Summary{
			ID:          f.ID.String(),
			RepoTags:    tags,
			RepoDigests: digests,
			Created:     created(f.Image).Unix(),
			Labels:      f.Config.Labels,
			Size:        size,
			SharedSize:  -1,
			Containers:  -1,
		})
	}
	if o.SharedSize {
		if err := s.shareSizes(ctx, all, list); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b image.Summary) int { return cmp.Compare(b.Created, a.Created) })
	return list, nil
}

func created(i *Image) time.Time {
	if i.Spec.Created == nil {
		return time.Unix(0, 0)
	}
	return *i.Spec.Created
}

// filter returns what the filters let pass.
func (s *Service) filter(ctx context.Context, f filters.Args) (func(*family) bool, error) {
	unnamed, err := f.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	until, err := f.Until(time.Now())
	if err != nil {
		return nil, err
	}
	bound := func(key string) (time.Time, error) {
		names := f.Get(key)
		if len(names) == 0 {
			return time.Time{}, nil
		}
		i, err := s.Resolve(ctx, names[0])
		if err != nil {
			return time.Time{}, err
		}
		return created(i), nil
	}
	before, err := bound("before")
	if err != nil {
		return nil, err
	}
	since, err := bound("since")
	if err != nil {
		return nil, err
	}
	return func(i *family) bool {
		tags, digests := i.names()
		at := created(i.Image)
		return (!f.Has("dangling") || unnamed == (len(digests) == 0)) &&
			(until.IsZero() || at.Before(until)) &&
			(before.IsZero() || at.Before(before)) &&
			(since.IsZero() || at.After(since)) &&
			f.Labels(i.Config.Labels) &&
			(!f.Has("reference") || slices.ContainsFunc(append(tags, digests...), func(name string) bool { return matches(f.Get("reference"), name) }))
	}, nil
}

// matches tells whether a pattern matches a name with or without its tag.
func matches(patterns []string, name string) bool {
	named, err := reference.ParseNormalizedNamed(name)
	return err == nil && slices.ContainsFunc(patterns, func(p string) bool {
		whole, _ := path.Match(p, name)
		short, _ := path.Match(p, reference.FamiliarName(named))
		return whole || short
	})
}

// sizes adds up what images take on disk: blobs and unpacked layers. Layers
// are looked at once for all images.
type sizes struct {
	snapshots snapshots.Snapshotter
	layers    map[digest.Digest]int64 // by chain ID
}

func (s *Service) newSizes() *sizes {
	return &sizes{snapshots: s.client().SnapshotService(s.engine.Snapshotter()), layers: map[digest.Digest]int64{}}
}

func (z *sizes) of(ctx context.Context, i *Image) (int64, error) {
	total := i.Manifest.Size
	for _, l := range i.Layers {
		total += l.Size
	}
	for n := range i.Spec.RootFS.DiffIDs {
		size, err := z.layer(ctx, identity.ChainID(i.Spec.RootFS.DiffIDs[:n+1]))
		if err != nil {
			return 0, fmt.Errorf("size of image %s: %w", i.ID, err)
		}
		total += size
	}
	return total, nil
}

func (z *sizes) layer(ctx context.Context, chain digest.Digest) (int64, error) {
	if size, ok := z.layers[chain]; ok {
		return size, nil
	}
	usage, err := z.snapshots.Usage(ctx, chain.String())
	if err != nil && !errdefs.IsNotFound(err) {
		return 0, err
	}
	z.layers[chain] = usage.Size
	return usage.Size, nil
}

// shareSizes fills in what each listed image shares with any other.
func (s *Service) shareSizes(ctx context.Context, all []*family, list []image.Summary) error {
	used := map[digest.Digest]int{}
	chains := map[string][]digest.Digest{}
	for _, f := range all {
		for n := range f.Spec.RootFS.DiffIDs {
			chain := identity.ChainID(f.Spec.RootFS.DiffIDs[:n+1])
			used[chain]++
			chains[f.ID.String()] = append(chains[f.ID.String()], chain)
		}
	}
	sizes := s.newSizes()
	for n := range list {
		list[n].SharedSize = 0
		for _, chain := range chains[list[n].ID] {
			if used[chain] < 2 {
				continue
			}
			size, err := sizes.layer(ctx, chain)
			if err != nil {
				return err
			}
			list[n].SharedSize += size
		}
	}
	return nil
}
