package api

import (
	"context"
	"io"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// Files are those of containers.
type Files interface {
	PathStat(ctx context.Context, name, path string) (container.PathStat, error)
	CopyFrom(ctx context.Context, name, path string, begin func(container.PathStat) io.Writer) error
	CopyTo(ctx context.Context, name string, o containers.CopyToOptions, archive io.Reader) error
	Export(ctx context.Context, name string, begin func() io.Writer) error
	Changes(ctx context.Context, name string) ([]container.FilesystemChange, error)
}
