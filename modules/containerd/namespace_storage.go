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

type nsContent struct{ next content.Store }

func (s nsContent) Info(ctx context.Context, d digest.Digest) (content.Info, error) {
	return s.next.Info(within(ctx), d)
}

func (s nsContent) Update(ctx context.Context, i content.Info, fields ...string) (content.Info, error) {
	return s.next.Update(within(ctx), i, fields...)
}

func (s nsContent) Walk(ctx context.Context, f content.WalkFunc, filters ...string) error {
	return s.next.Walk(within(ctx), f, filters...)
}

func (s nsContent) Delete(ctx context.Context, d digest.Digest) error {
	return s.next.Delete(within(ctx), d)
}

func (s nsContent) ReaderAt(ctx context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	return s.next.ReaderAt(within(ctx), d)
}

func (s nsContent) Status(ctx context.Context, ref string) (content.Status, error) {
	return s.next.Status(within(ctx), ref)
}

func (s nsContent) ListStatuses(ctx context.Context, filters ...string) ([]content.Status, error) {
	return s.next.ListStatuses(within(ctx), filters...)
}

func (s nsContent) Abort(ctx context.Context, ref string) error {
	return s.next.Abort(within(ctx), ref)
}

func (s nsContent) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	w, err := s.next.Writer(within(ctx), opts...)
	if err != nil {
		return nil, err
	}
	return nsWriter{w}, nil
}

type nsWriter struct{ content.Writer }

func (w nsWriter) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	return w.Writer.Commit(within(ctx), size, expected, opts...)
}

type nsSnapshotter struct{ next snapshots.Snapshotter }

func (s nsSnapshotter) Stat(ctx context.Context, key string) (snapshots.Info, error) {
	return s.next.Stat(within(ctx), key)
}

func (s nsSnapshotter) Update(ctx context.Context, i snapshots.Info, fields ...string) (snapshots.Info, error) {
	return s.next.Update(within(ctx), i, fields...)
}

func (s nsSnapshotter) Usage(ctx context.Context, key string) (snapshots.Usage, error) {
	return s.next.Usage(within(ctx), key)
}

func (s nsSnapshotter) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	return s.next.Mounts(within(ctx), key)
}

func (s nsSnapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return s.next.Prepare(within(ctx), key, parent, opts...)
}

func (s nsSnapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return s.next.View(within(ctx), key, parent, opts...)
}

func (s nsSnapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	return s.next.Commit(within(ctx), name, key, opts...)
}

func (s nsSnapshotter) Remove(ctx context.Context, key string) error {
	return s.next.Remove(within(ctx), key)
}

func (s nsSnapshotter) Walk(ctx context.Context, f snapshots.WalkFunc, filters ...string) error {
	return s.next.Walk(within(ctx), f, filters...)
}

func (s nsSnapshotter) Close() error { return s.next.Close() }

// Cleanup is what snapshots.Cleaner asks for.
func (s nsSnapshotter) Cleanup(ctx context.Context) error {
	c, ok := s.next.(snapshots.Cleaner)
	if !ok {
		return fmt.Errorf("snapshotter cannot clean up: %w", errdefs.ErrNotImplemented)
	}
	return c.Cleanup(within(ctx))
}
