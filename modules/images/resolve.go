package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"go.uber.org/zap"
)

func noSuchImage(name string) error {
	return errdefs.ErrNotFound.WithMessage("No such image: " + name)
}

// Resolve finds an image by its name, with or without tag or digest, by its
// ID or by a prefix of the ID that only one image has.
func (s *Service) Resolve(ctx context.Context, nameOrID string) (*Image, error) {
	if named, err := parse(nameOrID); err == nil {
		record, err := s.client().ImageService().Get(ctx, named.String())
		if err == nil {
			return s.open(ctx, record, anyPlatform())
		}
		if !errdefs.IsNotFound(err) {
			return nil, err
		}
		if i, err := s.byDigest(ctx, named); i != nil || err != nil {
			return i, err
		}
	}
	prefix, ok := idPrefix(nameOrID)
	if !ok {
		return nil, noSuchImage(nameOrID)
	}
	var found *Image
	for i, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(i.ID.Encoded(), prefix) {
			continue
		}
		if found != nil && found.ID != i.ID {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("ambiguous image ID prefix %q: give more of the ID", nameOrID))
		}
		found = i
	}
	if found == nil {
		return nil, noSuchImage(nameOrID)
	}
	found.Reference = ""
	return found, nil
}

// parse reads a name as Docker does: "alpine" is docker.io/library/alpine:latest,
// and of a name with tag and digest the digest counts.
func parse(name string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	if d, ok := named.(reference.Digested); ok {
		return reference.WithDigest(reference.TrimNamed(named), d.Digest())
	}
	return reference.TagNameOnly(named), nil
}

// byDigest finds repository@digest among the tags of the repository.
func (s *Service) byDigest(ctx context.Context, named reference.Named) (*Image, error) {
	d, ok := named.(reference.Digested)
	if !ok {
		return nil, nil
	}
	records, err := s.client().ImageService().List(ctx, "target.digest=="+d.Digest().String())
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if other, err := parse(r.Name); err == nil && other.Name() == named.Name() {
			return s.open(ctx, r, anyPlatform())
		}
	}
	return nil, nil
}

// idPrefix returns the hexadecimal digits of an ID or its beginning.
func idPrefix(s string) (string, bool) {
	s = strings.TrimPrefix(s, digest.SHA256.String()+":")
	if s == "" || len(s) > 64 {
		return "", false
	}
	return s, !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}

// all yields every image, opened, those with names first. A record that cannot
// be read, for instance as its content is missing, is logged and left out.
func (s *Service) all(ctx context.Context) func(yield func(*Image, error) bool) {
	return func(yield func(*Image, error) bool) {
		records, err := s.client().ImageService().List(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		slices.SortStableFunc(records, func(a, b images.Image) int {
			if dangling(a.Name) != dangling(b.Name) {
				if dangling(a.Name) {
					return 1
				}
				return -1
			}
			return strings.Compare(a.Name, b.Name)
		})
		for _, r := range records {
			i, err := s.open(ctx, r, anyPlatform())
			if err != nil {
				if ctx.Err() != nil {
					yield(nil, ctx.Err())
					return
				}
				if !errors.Is(err, errdefs.ErrNotFound) { // else it is being removed
					s.log.Warn("cannot read an image", zap.String("image", r.Name), zap.Error(err))
				}
				continue
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}
