package volumes

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// Create makes a volume, or returns the one that has the name already. A
// config without a name gets a random one and the label AnonymousLabel.
//
// The plugins' PreVolumeCreate runs before anything is made, and not at all
// for a volume that exists; config itself is not changed. The error is an
// errdefs.ErrInvalidArgument, or an errdefs.ErrConflict when the existing
// volume has another driver or other options.
func (s *Service) Create(ctx context.Context, config *types.VolumeCreateConfig) (*volume.Volume, error) {
	ctx, hooks := registry.Begin(ctx)
	return s.create(ctx, config, "", hooks)
}

// CreateFor is Create for a container, which refers to the volume from the
// same moment on: nobody can remove it in between.
func (s *Service) CreateFor(ctx context.Context, config *types.VolumeCreateConfig, containerID string) (*volume.Volume, error) {
	return s.create(ctx, config, containerID, nil) // the container keeps what plugins did
}

func (s *Service) create(ctx context.Context, config *types.VolumeCreateConfig, user string, hooks *registry.Operation) (*volume.Volume, error) {
	c := *config
	c.Labels, c.DriverOpts = maps.Clone(c.Labels), maps.Clone(c.DriverOpts)
	if c.Name == "" {
		c.Name = randomName()
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[AnonymousLabel] = ""
	}
	if err := validate(&c); err != nil {
		return nil, err
	}
	s.creating.Lock(c.Name)
	defer func(name string) { _ = s.creating.Unlock(name) }(c.Name)
	if v, err := s.existing(&c, user); v != nil || err != nil {
		return v, err
	}
	asked := maps.Clone(c.DriverOpts)
	if err := s.hooks.PreVolumeCreate(ctx, &c); err != nil {
		return nil, fmt.Errorf("create %s: %w", c.Name, err)
	}
	if err := validate(&c); err != nil {
		return nil, fmt.Errorf("after the plugins' changes: %w", err)
	}
	return s.make(&c, asked, user, hooks)
}

// existing returns the volume that c asks for, nil when there is none.
func (s *Service) existing(c *types.VolumeCreateConfig, user string) (*volume.Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.volumes[c.Name]
	if !ok {
		return nil, nil
	}
	return s.same(e, c, user)
}

// same returns the volume if it is as c asks. Labels make no difference, and
// whoever gives no options takes any. The caller holds the lock.
func (s *Service) same(e *entry, c *types.VolumeCreateConfig, user string) (*volume.Volume, error) {
	if len(c.DriverOpts) > 0 && !maps.Equal(c.DriverOpts, e.Asked) && !maps.Equal(c.DriverOpts, e.Options) {
		return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
			"create %s: a volume of this name exists with other options: remove it first, or choose another name", c.Name))
	}
	e.use(user)
	return new(s.describe(e)), nil
}

// make makes the directory, then the record.
func (s *Service) make(c *types.VolumeCreateConfig, asked map[string]string, user string, hooks *registry.Operation) (*volume.Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.volumes[c.Name]; ok { // a plugin chose another name
		return s.same(e, c, user)
	}
	r := record{Name: c.Name, CreatedAt: time.Now().UTC(), Labels: c.Labels, Options: c.DriverOpts, Asked: asked}
	if hooks != nil && hooks.Notable() {
		var err error
		if r.Explain, err = (&explain.Explanation{Create: hooks.Changes()}).JSON(); err != nil {
			return nil, fmt.Errorf("create %s: %w", c.Name, err)
		}
	}
	if err := s.makeDir(c.Name); err != nil {
		return nil, fmt.Errorf("create %s: %w", c.Name, err)
	}
	if err := s.records.Put(bucket, c.Name, r); err != nil {
		err = fmt.Errorf("create %s: cannot record the volume: %w", c.Name, err)
		return nil, errors.Join(err, s.root.RemoveAll(c.Name))
	}
	e := newEntry(r)
	e.use(user)
	s.volumes[c.Name] = e
	s.bus.Volume(eventtypes.ActionCreate, c.Name, map[string]string{"driver": LocalDriver})
	return new(s.describe(e)), nil
}

// makeDir makes a volume's directories. The modes are dockerd's, whatever the
// umask is: any user of a container may enter the data.
func (s *Service) makeDir(name string) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{name, 0o701}, {filepath.Join(name, dataDir), 0o755}} {
		err := s.root.Mkdir(dir.path, dir.mode)
		if err == nil {
			err = s.root.Chmod(dir.path, dir.mode)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("cannot make the volume's directory: %w", err), s.root.RemoveAll(name))
		}
	}
	return nil
}

// Docker's names: no separators and no leading dot, so that no name leads out
// of the directory or to one of our own.
// validName is compiled when it is first needed: not in every shim.
var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`) })

// validate checks what clients and plugins ask for, and names the driver.
func validate(c *types.VolumeCreateConfig) error {
	if c.Driver == "" {
		c.Driver = LocalDriver
	}
	var problem string
	switch {
	case c.Driver != LocalDriver:
		problem = fmt.Sprintf("volume driver %q is unknown: this daemon has the driver %q", c.Driver, LocalDriver)
	case len(c.Name) == 1:
		problem = "volume name is too short, names should be at least two alphanumeric characters"
	case len(c.Name) > 255:
		problem = "volume name is too long: at most 255 characters are allowed"
	case !validName().MatchString(c.Name):
		problem = fmt.Sprintf(`%q includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. `+
			`If you intended to pass a host directory, use absolute path`, c.Name)
	case c.ClusterVolumeSpec != nil:
		problem = "ClusterVolumeSpec is not supported: this daemon has no swarm"
	default:
		if _, err := parseOptions(c.DriverOpts); err != nil {
			problem = err.Error()
		}
	}
	if problem == "" {
		return nil
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("create %s: %s", c.Name, problem))
}

// randomName returns 64 hexadecimal digits.
func randomName() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
