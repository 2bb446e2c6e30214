package containers

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containers/fsview"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/modules/decompress"
)

// CopyToOptions say where an archive goes.
type CopyToOptions struct {
	// Path is a directory in the container.
	Path string
	// NoOverwriteDirNonDir keeps a directory from being replaced by something
	// else, and the other way round.
	NoOverwriteDirNonDir bool
	// CopyUIDGID gives everything to the container's user.
	CopyUIDGID bool
}

// PathStat describes what is at a path in a container. Its error is an
// errdefs.ErrNotFound when nothing is.
func (s *Service) PathStat(ctx context.Context, name, at string) (st container.PathStat, err error) {
	c, err := s.index.get(name)
	if err != nil {
		return st, err
	}
	err = s.withView(ctx, c, reading, func(_ context.Context, v *fsview.View) error {
		st, err = v.Stat(absolute(at))
		return err
	})
	return st, pathError(err, at, name)
}

// CopyFrom writes what is at a path in a container as a tar archive, to where
// begin says, which is told what it is. The container may run or not.
func (s *Service) CopyFrom(ctx context.Context, name, at string, begin func(container.PathStat) io.Writer) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	err = s.withView(ctx, c, reading, func(ctx context.Context, v *fsview.View) error {
		st, err := v.Stat(absolute(at))
		if err != nil {
			return err
		}
		s.publish(c, eventtypes.ActionArchivePath)
		return v.Pack(ctx, begin(st), absolute(at))
	})
	return pathError(err, at, name)
}

// CopyTo unpacks a tar archive, which may be compressed, in a container, which
// may run or not. One that does not run cannot be started meanwhile: that
// begins when the archive does.
func (s *Service) CopyTo(ctx context.Context, name string, o CopyToOptions, archive io.Reader) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	content, err := decompress.NewReader(archive)
	if err != nil {
		return invalid("%v", err)
	}
	defer content.Close()
	err = s.withView(ctx, c, writing, func(ctx context.Context, v *fsview.View) error {
		unpack, err := s.unpackOptions(c, v, o)
		if err != nil {
			return err
		}
		s.publish(c, eventtypes.ActionExtractToDir)
		return v.Unpack(ctx, content, unpack)
	})
	return pathError(err, o.Path, name)
}

// unpackOptions finds the directory, which links may lead to, and the owner.
func (s *Service) unpackOptions(c *ctr, v *fsview.View, o CopyToOptions) (u fsview.UnpackOptions, err error) {
	u = fsview.UnpackOptions{NoOverwriteDirNonDir: o.NoOverwriteDirNonDir}
	if u.Dir, err = v.Resolve(absolute(o.Path)); err != nil {
		return u, err
	}
	st, err := v.Stat(u.Dir)
	if err != nil {
		return u, err
	}
	if !st.Mode.IsDir() {
		return u, invalid("extraction point is not a directory")
	}
	readOnly, mounted, err := v.ReadOnly(u.Dir)
	switch {
	case err != nil:
		return u, err
	case readOnly && mounted:
		return u, denied("mounted volume is marked read-only")
	case readOnly:
		return u, denied("container rootfs is marked read-only")
	}
	if user := c.record().Config.User; o.CopyUIDGID && user != "" {
		found, err := ocispec.ResolveUser(v.Path(), user, nil)
		if err != nil {
			return u, err
		}
		u.Owner = &fsview.Owner{UID: int(found.UID), GID: int(found.GID)}
	}
	return u, nil
}

// absolute is a path of a client's as it is meant: from the root, with what it
// says about links by its end.
func absolute(p string) string {
	clean := path.Join("/", p)
	switch {
	case strings.HasSuffix(p, "/.") || p == ".":
		return strings.TrimSuffix(clean, "/") + "/."
	case strings.HasSuffix(p, "/") && clean != "/":
		return clean + "/"
	}
	return clean
}

// pathError gives an error of the file system Docker's words and class.
func pathError(err error, at, name string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notFound("Could not find the file %s in container %s", at, name)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.EINVAL):
		return invalid("%v", err)
	case errors.Is(err, unix.EBUSY):
		return conflict("%v", err)
	}
	return err
}
