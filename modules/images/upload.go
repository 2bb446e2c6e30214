package images

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// uploads sends blobs, tells how far they are, and gives up on a registry that
// takes nothing any more.
type uploads struct {
	next     remotes.Pusher
	tracker  docker.StatusTracker
	stall    time.Duration
	progress *progress
}

// errNotTaken is why an upload was given up.
type errNotTaken time.Duration

func (e errNotTaken) Error() string {
	return "the registry took nothing for " + time.Duration(e).String()
}

// closeGrace is how long an interrupted upload has to end by itself.
const closeGrace = 2 * time.Second

// Push begins to send a blob. The error for one that the registry has already
// is of class errdefs.ErrAlreadyExists.
func (u uploads) Push(ctx context.Context, d ocispec.Descriptor) (content.Writer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(u.stall, func() { cancel(errNotTaken(u.stall)) })
	w, err := u.next.Push(ctx, d)
	if err != nil {
		timer.Stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		if errdefs.IsAlreadyExists(err) {
			u.progress.pushed(d, u.found(ctx, d))
		}
		return nil, err
	}
	b := &upload{Writer: w, ctx: ctx, cancel: cancel, stall: u.stall, timer: timer, d: d, progress: u.progress}
	// When a token cannot be had in the middle, nobody reads what is written,
	// and the end of the context wakes nobody.
	b.release = context.AfterFunc(ctx, func() { time.AfterFunc(closeGrace, func() { _ = w.Close() }) })
	return b, nil
}

// found says how the registry came to have a blob.
func (u uploads) found(ctx context.Context, d ocispec.Descriptor) string {
	status, err := u.tracker.GetStatus(remotes.MakeRefKey(ctx, d))
	if err == nil && status.MountedFrom != "" {
		return "Mounted from " + status.MountedFrom
	}
	return "Layer already exists"
}

// upload is one blob on its way.
type upload struct {
	content.Writer
	ctx      context.Context
	cancel   context.CancelCauseFunc
	stall    time.Duration
	timer    *time.Timer
	release  func() bool
	d        ocispec.Descriptor
	at       int64
	progress *progress
}

// Write tells the reason when it was interrupted.
func (b *upload) Write(p []byte) (int, error) {
	n, err := b.Writer.Write(p)
	b.timer.Reset(b.stall)
	b.at += int64(n)
	if errors.Is(err, content.ErrReset) {
		b.at = 0 // it is sent once more
	}
	b.progress.pushing(b.d, b.at)
	return n, b.reason(err)
}

// Commit waits for the registry's answer.
func (b *upload) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	err := b.Writer.Commit(ctx, size, expected, opts...)
	b.timer.Reset(b.stall)
	if errors.Is(err, content.ErrReset) {
		b.at = 0
	}
	if err == nil {
		b.progress.pushed(b.d, "Pushed")
	}
	return b.reason(err)
}

// reason says in our words why an upload ended: the transport has a limit of
// its own for the answer.
func (b *upload) reason(err error) error {
	var late net.Error
	switch {
	case err == nil || errors.Is(err, content.ErrReset):
		return err
	case b.ctx.Err() != nil:
		return context.Cause(b.ctx)
	case errors.As(err, &late) && late.Timeout():
		return errNotTaken(b.stall)
	}
	return err
}

// Close ends the upload.
func (b *upload) Close() error {
	b.timer.Stop()
	b.release()
	b.cancel(nil)
	return b.Writer.Close()
}

// preparing names a layer that is to be pushed.
func (p *progress) preparing(d ocispec.Descriptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !images.IsLayerType(d.MediaType) || p.layers[d.Digest] != nil {
		return
	}
	p.layers[d.Digest] = &layerProgress{}
	p.about(d, "Preparing", nil)
}

// pushing tells how much of a layer has gone.
func (p *progress) pushing(d ocispec.Descriptor, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.layers[d.Digest]
	if now := time.Now(); l != nil && !l.done && now.Sub(l.last) >= progressInterval {
		l.last = now
		p.about(d, "Pushing", &jsonstream.Progress{Current: at, Total: d.Size})
	}
}

// pushed says that the registry has a layer, and how it came to it.
func (p *progress) pushed(d ocispec.Descriptor, status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.layers[d.Digest]; l != nil && !l.done {
		l.done = true
		p.about(d, status, nil)
	}
}
