package images

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// watched fetches blobs, tells how far they are, and gives up on a registry
// that goes silent.
type watched struct {
	next     remotes.Fetcher
	stall    time.Duration
	progress func(d ocispec.Descriptor, at int64)
}

// errStalled is why a transfer was given up.
type errStalled time.Duration

func (e errStalled) Error() string {
	return "the registry sent nothing for " + time.Duration(e).String()
}

// Fetch opens a blob at the registry itself; addresses that a manifest gives
// for it are not followed, as they may lead into this host's own network.
func (w watched) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	d.URLs = nil
	ctx, cancel := context.WithCancelCause(ctx)
	r, err := w.next.Fetch(ctx, d)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &watchedBlob{
		ReadCloser: r, ctx: ctx, cancel: cancel, stall: w.stall,
		timer: time.AfterFunc(w.stall, func() { cancel(errStalled(w.stall)) }),
		moved: func(at int64) { w.progress(d, at) },
	}, nil
}

type watchedBlob struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration
	timer  *time.Timer
	at     int64
	moved  func(at int64)
}

// Read tells the reason when it was interrupted.
func (b *watchedBlob) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.timer.Reset(b.stall)
	b.at += int64(n)
	b.moved(b.at)
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

// Seek lets an interrupted download go on where it stopped.
func (b *watchedBlob) Seek(offset int64, whence int) (int64, error) {
	s, ok := b.ReadCloser.(io.Seeker)
	if !ok {
		return 0, errors.New("this registry's blobs cannot be read from the middle")
	}
	at, err := s.Seek(offset, whence)
	if err == nil {
		b.at = at
	}
	return at, err
}

func (b *watchedBlob) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}
