package containers

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers/fsview"
)

// purpose is what a view is opened for.
type purpose int

const (
	reading   purpose = iota // with volumes and binds
	writing                  // the same
	preparing                // for the places of mounts that are missing
	exporting                // the root filesystem alone
)

// withView calls f with the files of a container. One that does not run is not
// started while they are written to; one that runs and ends meanwhile is
// started again only when f has returned, or was told to by its context.
func (s *Service) withView(ctx context.Context, c *ctr, for_ purpose, f func(context.Context, *fsview.View) error) error {
	ctx = s.Engine.Context(ctx)
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	unlock := sync.OnceFunc(c.op.unlock)
	defer unlock()
	if c.current() == nil {
		if err := c.tidied(ctx); err != nil {
			return err
		}
		v, err := s.viewStopped(ctx, c, for_)
		if err != nil {
			return err
		}
		defer v.Close()
		if for_ != writing { // what is only read may be started meanwhile
			unlock()
		}
		return f(ctx, v)
	}
	v, err := s.viewRunning(ctx, c, for_)
	if err != nil {
		return err
	}
	defer v.Close()
	ctx, done := c.looks.begin(ctx)
	defer done()
	unlock()
	return f(ctx, v)
}

// viewRunning shows the root filesystem that the container runs on. The kernel
// knows of no second mount of it.
func (s *Service) viewRunning(ctx context.Context, c *ctr, for_ purpose) (*fsview.View, error) {
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return nil, err
	}
	root, err := containerd.MountedAt(mounts)
	if err != nil {
		return nil, err
	}
	o, err := s.viewOptions(ctx, c, root, for_)
	if err != nil {
		return nil, err
	}
	return fsview.Open(o)
}

// viewStopped mounts the root filesystem for the view. To be read it is
// mounted for reading, which is in nobody's way; but places of mounts that a
// first start would make are made before.
func (s *Service) viewStopped(ctx context.Context, c *ctr, for_ purpose) (v *fsview.View, err error) {
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if for_ == exporting {
			return
		}
		if unmountErr := s.unmountVolumes(context.WithoutCancel(ctx), c); err == nil && unmountErr != nil {
			v.Close()
			err = unmountErr
		}
	}()
	open := func(for_ purpose) error {
		mounter := coremount.WithTempMount
		if s.readOnly(c, for_) {
			mounter = coremount.WithReadonlyTempMount
		}
		return withMount(mounter, ctx, mounts, func(root string) error {
			o, err := s.viewOptions(ctx, c, root, for_)
			if err == nil {
				v, err = fsview.Open(o)
			}
			return err
		})
	}
	if err := open(for_); err == nil || for_ == exporting || !s.readOnly(c, for_) {
		return v, err
	}
	// Something is missing, perhaps a place.
	if err := open(preparing); err != nil {
		return nil, err
	}
	v.Close()
	return v, open(for_)
}

// readOnly tells whether a view's root filesystem is not to be written to.
func (s *Service) readOnly(c *ctr, for_ purpose) bool {
	return for_ == reading || for_ == exporting || for_ == writing && c.record().HostConfig.ReadonlyRootfs
}

// viewOptions are those of a view of the root filesystem mounted at root.
func (s *Service) viewOptions(ctx context.Context, c *ctr, root string, for_ purpose) (fsview.Options, error) {
	r := c.record()
	o := fsview.Options{Root: root, ReadOnly: s.readOnly(c, for_)}
	if for_ == exporting {
		return o, nil
	}
	own := map[string]bool{}
	for _, m := range r.Mounts {
		own[m.Destination] = true
	}
	for _, m := range s.fileMounts(c) {
		if !own[m.Destination] {
			o.Mounts = append(o.Mounts, m)
		}
	}
	for _, m := range r.Mounts {
		var err error
		switch m.Type {
		case mount.TypeBind:
			err = bindSource(m)
		case mount.TypeVolume:
			m.Source, err = s.mountVolume(ctx, c, m, new(undoList))
		default: // a tmpfs is the running container's alone
			continue
		}
		if err != nil {
			return o, err
		}
		o.Mounts = append(o.Mounts, fsview.Mount{Source: m.Source, Destination: m.Destination, ReadOnly: !m.RW, NonRecursive: m.NonRecursive})
	}
	return o, nil
}

// fileMounts are the files that the daemon made for the container's last start.
func (s *Service) fileMounts(c *ctr) (mounts []fsview.Mount) {
	r, dir := c.record(), s.dir(c.id)
	if mode := r.HostConfig.NetworkMode; mode.IsContainer() {
		if other, err := s.index.get(mode.ConnectedContainer()); err == nil {
			dir = s.dir(other.id)
		}
	}
	for _, name := range networkFiles {
		source := filepath.Join(dir, name)
		if _, err := os.Lstat(source); err == nil {
			mounts = append(mounts, fsview.Mount{Source: source, Destination: "/etc/" + name, ReadOnly: r.HostConfig.ReadonlyRootfs})
		}
	}
	return mounts
}
