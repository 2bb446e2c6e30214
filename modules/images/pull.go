package images

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/unpack"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// maxDownloads is how many blobs of one image are fetched at a time, as in
// Docker.
const maxDownloads = 3

// PullOptions are what a pull may be told.
type PullOptions struct {
	// Platform chooses among the images of an index; nil means this host's.
	Platform *ocispec.Platform
	// Auth is shown to the registry of the reference and to no other.
	Auth *registry.AuthConfig
	// Progress gets what the client sees; it may be nil. It is called from
	// one goroutine at a time, and not after Pull has returned.
	Progress func(jsonstream.Message)
}

// Pull downloads and unpacks an image, runs the PostPull hooks on it and only
// then gives it its name; when anything fails nothing stays. Progress is first
// called when the registry has the image: an error before that, such as one of
// class errdefs.ErrNotFound, is the whole answer.
func (s *Service) Pull(ctx context.Context, ref reference.Named, o PullOptions) (_ *Image, err error) {
	defer func() { err = explain(err) }()
	named, err := parse(ref.String())
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	ctx = s.engine.Context(ctx)
	resolver := s.registries.resolver(named, o.Auth, nil)
	name, target, err := resolver.Resolve(ctx, named.String())
	if err != nil {
		return nil, explainResolve(named, o.Auth, err)
	}
	if !images.IsManifestType(target.MediaType) && !images.IsIndexType(target.MediaType) {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("pull %s: what %s has under that name is no image but %q", reference.FamiliarString(named), reference.Domain(named), target.MediaType))
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, release, err := s.lease(ctx, opPull)
	if err != nil {
		return nil, err
	}
	defer func() { release(err != nil) }()

	p := newProgress(o.Progress)
	p.say(tagOrDigest(named), "Pulling from "+reference.Path(named))
	match := containerd.Platform()
	if o.Platform != nil {
		match = containerd.AnyUnnamed(platforms.Only(platforms.Normalize(*o.Platform)))
	}
	if err := s.fetch(ctx, named, target, match, fetcher, p); err != nil {
		return nil, explainFetch(named, o.Platform, err)
	}
	i, err := s.open(ctx, images.Image{Name: named.String(), Target: target}, match)
	if errdefs.IsNotFound(err) {
		return nil, noPlatform(named, o.Platform)
	} else if err != nil {
		return nil, err
	}
	if o.Platform != nil && !match.Match(i.Spec.Platform) {
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("image %s is for %s, not for %s", reference.FamiliarString(named), platforms.Format(i.Spec.Platform), platforms.Format(*o.Platform)))
	}
	p.finish(i.Layers)
	if err := s.Unpack(ctx, i, s.engine.Snapshotter()); err != nil {
		return nil, err
	}
	// The hook's image outlives this request and its lease, like its client.
	if err := s.hooks.PostPull(ctx, s.engine.Snapshotter(), i.Image); err != nil {
		return nil, err
	}
	old, _ := s.client().ImageService().Get(ctx, named.String())
	record, err := s.put(ctx, images.Image{Name: named.String(), Target: target})
	if err != nil {
		return nil, fmt.Errorf("name image %s: %w", reference.FamiliarString(named), err)
	}
	i.record = record
	p.say("", "Digest: "+target.Digest.String())
	state := "Downloaded newer image for "
	if old.Target.Digest == target.Digest {
		state = "Image is up to date for "
	}
	p.say("", "Status: "+state+reference.FamiliarString(named))
	s.publishTransfer(dockerevents.ActionPull, i, named)
	return i, nil
}

// fetch brings everything that target leads to on the matching platform into
// the content store and the layers into the snapshotter.
func (s *Service) fetch(ctx context.Context, named reference.Named, target ocispec.Descriptor, match platforms.MatchComparer, from remotes.Fetcher, p *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	store := s.metadata()
	source := watched{next: from, stall: s.registries.stall, progress: p.downloading}

	children := images.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		found, err := images.Children(ctx, store, d)
		if err == nil && images.IsManifestType(d.MediaType) {
			for _, l := range found {
				if images.IsLayerType(l.MediaType) {
					_, missing := store.Info(ctx, l.Digest)
					p.announce(l, missing == nil)
				}
			}
		}
		return found, err
	})
	// A push to another repository of the registry need not send what came from it.
	origin, err := docker.AppendDistributionSourceLabel(store, named.String())
	if err != nil {
		return err
	}
	handler := images.Handlers(
		remotes.FetchHandler(store, source),
		origin,
		images.LimitManifests(images.FilterPlatforms(images.SetChildrenLabels(store, children), match), match, 1),
	)
	snapshotter := s.engine.Snapshotter()
	capabilities, err := s.client().GetSnapshotterCapabilities(ctx, snapshotter)
	if err != nil {
		return err
	}
	limit := semaphore.NewWeighted(maxDownloads)
	unpacker, err := unpack.NewUnpacker(ctx, store,
		unpack.WithLimiter(limit),
		unpack.WithFetchAllContent(), // another snapshotter may need it later
		unpack.WithUnpackPlatform(unpack.Platform{
			SnapshotterKey:          snapshotter,
			Snapshotter:             s.client().SnapshotService(snapshotter),
			SnapshotterCapabilities: capabilities,
			Applier:                 reporting{s.client().DiffService(), p},
		}))
	if err != nil {
		return err
	}
	if err := images.Dispatch(ctx, unpacker.Unpack(handler), limit, target); err != nil {
		cancel()
		_, _ = unpacker.Wait() // it ends because of this
		return err
	}
	_, err = unpacker.Wait()
	return err
}

// tagOrDigest is how the docker CLI heads a pull.
func tagOrDigest(named reference.Named) string {
	switch r := named.(type) {
	case reference.Tagged:
		return r.Tag()
	case reference.Digested:
		return r.Digest().String()
	}
	return ""
}
