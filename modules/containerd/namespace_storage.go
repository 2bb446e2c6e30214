package containerd

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

type nsContent struct {
	namespace
	next content.Store
}

func (s nsContent) Info(ctx context.Context, d digest.Digest) (content.Info, error) {
	return s.next.Info(s.within(ctx), d)
}

func (s nsContent) Update(ctx context.Context, i content.Info, fields ...string) (content.Info, error) {
	return s.next.Update(s.within(ctx), i, fields...)
}

func (s nsContent) Walk(ctx context.Context, f content.WalkFunc, filters ...string) error {
	return s.next.Walk(s.within(ctx), f, filters...)
}

func (s nsContent) Delete(ctx context.Context, d digest.Digest) error {
	return s.next.Delete(s.within(ctx), d)
}

func (s nsContent) ReaderAt(ctx context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	return s.next.ReaderAt(s.within(ctx), d)
}

func (s nsContent) Status(ctx context.Context, ref string) (content.Status, error) {
	return s.next.Status(s.within(ctx), ref)
}

func (s nsContent) ListStatuses(ctx context.Context, filters ...string) ([]content.Status, error) {
	return s.next.ListStatuses(s.within(ctx), filters...)
}

func (s nsContent) Abort(ctx context.Context, ref string) error {
	return s.next.Abort(s.within(ctx), ref)
}

func (s nsContent) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	w, err := s.next.Writer(s.within(ctx), opts...)
	if err != nil {
		return nil, err
	}
	return nsWriter{s.namespace, w}, nil
}

type nsWriter struct {
	namespace
	content.Writer
}

func (w nsWriter) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	return w.Writer.Commit(w.within(ctx), size, expected, opts...)
}

type nsSnapshotter struct {
	namespace
	next snapshots.Snapshotter
}

func (s nsSnapshotter) Stat(ctx context.Context, key string) (snapshots.Info, error) {
	return s.next.Stat(s.within(ctx), key)
}

func (s nsSnapshotter) Update(ctx context.Context, i snapshots.Info, fields ...string) (snapshots.Info, error) {
	return s.next.Update(s.within(ctx), i, fields...)
}

func (s nsSnapshotter) Usage(ctx context.Context, key string) (snapshots.Usage, error) {
	return s.next.Usage(s.within(ctx), key)
}

func (s nsSnapshotter) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	return s.next.Mounts(s.within(ctx), key)
}

func (s nsSnapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return s.next.Prepare(s.within(ctx), key, parent, opts...)
}

func (s nsSnapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return s.next.View(s.within(ctx), key, parent, opts...)
}

func (s nsSnapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	return s.next.Commit(s.within(ctx), name, key, opts...)
}

func (s nsSnapshotter) Remove(ctx context.Context, key string) error {
	return s.next.Remove(s.within(ctx), key)
}

func (s nsSnapshotter) Walk(ctx context.Context, f snapshots.WalkFunc, filters ...string) error {
	return s.next.Walk(s.within(ctx), f, filters...)
}

func (s nsSnapshotter) Close() error { return s.next.Close() }

// Cleanup is what snapshots.Cleaner asks for.
func (s nsSnapshotter) Cleanup(ctx context.Context) error {
	c, ok := s.next.(snapshots.Cleaner)
	if !ok {
		return fmt.Errorf("snapshotter cannot clean up: %w", errdefs.ErrNotImplemented)
	}
	return c.Cleanup(s.within(ctx))
}
