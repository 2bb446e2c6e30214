package images

import (
	"context"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// progressInterval is the shortest time between two messages about one layer.
const progressInterval = 100 * time.Millisecond

// progress tells what becomes of each layer in the words that the docker CLI
// prints and other clients match.
type progress struct {
	mu     sync.Mutex
	send   func(jsonstream.Message)
	layers map[digest.Digest]*layerProgress
}

type layerProgress struct {
	last time.Time // of the last message about bytes
	busy bool      // something has to be done for it
	done bool      // it has come
}

func newProgress(send func(jsonstream.Message)) *progress {
	if send == nil {
		send = func(jsonstream.Message) {}
	}
	return &progress{send: send, layers: map[digest.Digest]*layerProgress{}}
}

// say sends a message that is not about a layer.
func (p *progress) say(id, status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(jsonstream.Message{ID: id, Status: status})
}

// announce names a layer of a manifest; here tells that it need not come.
func (p *progress) announce(d ocispec.Descriptor, here bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.layers[d.Digest] != nil {
		return
	}
	p.layers[d.Digest] = &layerProgress{}
	if !here {
		p.about(d, "Pulling fs layer", nil)
	}
}

// downloading tells how much of a layer has come.
func (p *progress) downloading(d ocispec.Descriptor, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.layers[d.Digest]
	if l == nil || l.done {
		return // not a layer, or sent once more
	}
	l.busy = true
	if at >= d.Size {
		l.done = true
		p.about(d, "Download complete", nil)
	} else if now := time.Now(); now.Sub(l.last) >= progressInterval {
		l.last = now
		p.about(d, "Downloading", &jsonstream.Progress{Current: at, Total: d.Size})
	}
}

// finish says of the layers that nothing had to be done for.
func (p *progress) finish(layers []ocispec.Descriptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range layers {
		if l := p.layers[d.Digest]; l != nil && !l.busy {
			l.busy = true
			p.about(d, "Already exists", nil)
		}
	}
}

func (p *progress) unpacking(d ocispec.Descriptor, status string, detail *jsonstream.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.layers[d.Digest]; l != nil {
		l.busy = true
		p.about(d, status, detail)
	}
}

// about sends a message about a layer; the docker CLI wants a progressDetail
// in each.
func (p *progress) about(d ocispec.Descriptor, status string, detail *jsonstream.Progress) {
	if detail == nil {
		detail = &jsonstream.Progress{}
	}
	p.send(jsonstream.Message{ID: short(d.Digest), Status: status, Progress: detail})
}

func short(d digest.Digest) string {
	if s := d.Encoded(); len(s) > 12 {
		return s[:12]
	}
	return d.Encoded()
}

// reporting is an applier that tells which layer it unpacks.
type reporting struct {
	diff.Applier
	progress *progress
}

func (r reporting) Apply(ctx context.Context, d ocispec.Descriptor, mounts []mount.Mount, opts ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	r.progress.unpacking(d, "Extracting", &jsonstream.Progress{Current: d.Size, Total: d.Size})
	applied, err := r.Applier.Apply(ctx, d, mounts, opts...)
	if err == nil {
		r.progress.unpacking(d, "Pull complete", nil)
	}
	return applied, err
}
