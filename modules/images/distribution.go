package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Distribution asks the registry of a name what it has under it, without
// fetching more than the description.
func (s *Service) Distribution(ctx context.Context, ref reference.Named, auth *registry.AuthConfig) (registry.DistributionInspect, error) {
	var found registry.DistributionInspect
	named, err := parse(ref.String())
	if err != nil {
		return found, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	resolver := s.registries.resolver(named, auth, nil)
	name, target, err := resolver.Resolve(ctx, named.String())
	if err != nil {
		return found, explainResolve(named, auth, err)
	}
	next, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return found, err
	}
	from := watched{next: next, stall: s.registries.stall, progress: func(ocispec.Descriptor, int64) {}}
	found.Descriptor = target
	found.Platforms, err = remotePlatforms(ctx, from, target)
	if err != nil {
		return found, explainFetch(named, nil, err)
	}
	return found, nil
}

// remotePlatforms are those that an image at a registry is for.
func remotePlatforms(ctx context.Context, from remotes.Fetcher, target ocispec.Descriptor) ([]ocispec.Platform, error) {
	all := []ocispec.Platform{}
	switch {
	case images.IsIndexType(target.MediaType):
		var index ocispec.Index
		if err := fetchJSON(ctx, from, target, &index); err != nil {
			return nil, err
		}
		for _, m := range index.Manifests {
			if m.Platform != nil {
				all = append(all, *m.Platform)
			}
		}
	case images.IsManifestType(target.MediaType):
		var manifest ocispec.Manifest
		if err := fetchJSON(ctx, from, target, &manifest); err != nil {
			return nil, err
		}
		if !images.IsConfigType(manifest.Config.MediaType) {
			return all, nil // no image of a container, but what else registries keep
		}
		var config ocispec.Image
		if err := fetchJSON(ctx, from, manifest.Config, &config); err != nil {
			return nil, err
		}
		all = append(all, config.Platform)
	}
	return all, nil
}

// fetchJSON reads what is described from a registry into v.
func fetchJSON(ctx context.Context, from remotes.Fetcher, d ocispec.Descriptor, v any) error {
	r, err := from.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxMetadata:
		return fmt.Errorf("%s has more than %d bytes", d.Digest, maxMetadata)
	case digest.FromBytes(text) != d.Digest:
		return fmt.Errorf("%s: unexpected commit digest", d.Digest)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s %s: %s", d.MediaType, d.Digest, err))
	}
	return nil
}
