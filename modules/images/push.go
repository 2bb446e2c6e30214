package images

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/auxprogress"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
)

// maxUploads is how many blobs of one image are sent at a time, as in Docker.
const maxUploads = 5

// PushOptions are what a push may be told.
type PushOptions struct {
	// Auth is shown to the registry of the reference and to no other.
	Auth *registry.AuthConfig
	// Progress gets what the client sees; it may be nil. It is called from
	// one goroutine at a time, and not after Push has returned.
	Progress func(jsonstream.Message)
}

// Push sends an image to the registry that is part of its name, or, when ref
// has no tag, the images with all tags of a repository. What the registry has
// already is not sent.
func (s *Service) Push(ctx context.Context, ref reference.Named, o PushOptions) error {
	if _, ok := ref.(reference.Digested); ok {
		return errdefs.ErrInvalidArgument.WithMessage("cannot push a digest reference")
	}
	ctx = s.engine.Context(ctx)
	p := newProgress(o.Progress)
	p.say("", fmt.Sprintf("The push refers to repository [%s]", ref.Name()))
	tagged, err := s.tagged(ctx, ref)
	if err != nil {
		return err
	}
	ctx, release, err := s.hold(ctx, opPush, tagged...)
	if err != nil {
		return err
	}
	defer release(false)
	targets := map[digest.Digest]ocispec.Descriptor{} // one for each, whatever its tags
	for _, i := range tagged {
		target, known := targets[i.record.Target.Digest]
		if !known {
			if target, err = s.compressed(ctx, i); err != nil {
				return explain(fmt.Errorf("push %s: %w", reference.FamiliarString(ref), err))
			}
			targets[i.record.Target.Digest] = target
		}
		if target.Digest != i.record.Target.Digest {
			i.record.Target, i.Manifest = target, target
		}
		if err := s.push(ctx, i, o.Auth, newProgress(o.Progress)); err != nil {
			return explainPush(ref, o.Auth, err)
		}
	}
	s.publishTransfer(dockerevents.ActionPush, tagged[0], ref)
	return nil
}

// tagged finds the image with a name, or all of a repository.
func (s *Service) tagged(ctx context.Context, ref reference.Named) ([]*Image, error) {
	var found []*Image
	repository := false
	for i, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		named, err := reference.ParseNormalizedNamed(i.Reference)
		if err != nil || named.Name() != ref.Name() {
			continue
		}
		repository = true
		_, isTag := named.(reference.Tagged)
		if isTag && (reference.IsNameOnly(ref) || named.String() == ref.String()) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case repository:
		return nil, errdefs.ErrNotFound.WithMessage("tag does not exist: " + reference.FamiliarString(ref))
	}
	return nil, errdefs.ErrNotFound.WithMessage("An image does not exist locally with the tag: " + reference.FamiliarName(ref))
}

// push sends one image.
func (s *Service) push(ctx context.Context, i *Image, auth *registry.AuthConfig, p *progress) error {
	named, err := parse(i.Reference)
	if err != nil {
		return err
	}
	target, err := s.pushable(ctx, i, p)
	if err != nil {
		return err
	}
	tracker := docker.NewInMemoryTracker()
	// Only the target gets the tag, not what it leads to.
	next, err := s.registries.resolver(named, auth, tracker).Pusher(ctx, named.String()+"@"+target.Digest.String())
	if err != nil {
		return err
	}
	to := uploads{next: next, tracker: tracker, stall: s.registries.stall, progress: p}
	announced := func(h images.Handler) images.Handler {
		return remotes.SkipNonDistributableBlobs(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			children, err := h.Handle(ctx, d)
			for _, c := range children {
				p.preparing(c)
			}
			return children, err
		})
	}
	if err := remotes.PushContent(ctx, to, target, s.client().ContentStore(), semaphore.NewWeighted(maxUploads), platforms.All, announced); err != nil {
		return err
	}
	tag := tagOrDigest(named)
	p.say("", fmt.Sprintf("%s: digest: %s size: %d", tag, target.Digest, target.Size))
	p.aux(struct {
		Tag    string
		Digest string
		Size   int64
	}{tag, target.Digest.String(), target.Size})
	return nil
}

// pushable is what can be pushed of an image: all of it, or, when other
// platforms of an index were not pulled, the one that is here.
func (s *Service) pushable(ctx context.Context, i *Image, p *progress) (ocispec.Descriptor, error) {
	target := i.record.Target
	err := images.Walk(ctx, images.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		if images.IsNonDistributable(d.MediaType) {
			return nil, nil
		}
		if _, err := s.client().ContentStore().Info(ctx, d.Digest); err != nil {
			return nil, err
		}
		return images.Children(ctx, s.metadata(), d)
	}), target)
	if !errdefs.IsNotFound(err) || target.Digest == i.Manifest.Digest {
		return target, err
	}
	p.aux(auxprogress.ManifestPushedInsteadOfIndex{ManifestPushedInsteadOfIndex: true, OriginalIndex: target, SelectedManifest: i.Manifest})
	return i.Manifest, nil
}

// aux sends what programs read.
func (p *progress) aux(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		return // these types do
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	raw := json.RawMessage(text)
	p.send(jsonstream.Message{Progress: &jsonstream.Progress{}, Aux: &raw})
}
