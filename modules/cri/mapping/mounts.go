package mapping

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/types"
)

// Hooks see all mounts in HostConfig.Mounts, as a bind cannot say all of them:
// a path of the host may hold a colon.
func showMounts(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	for _, m := range r.GetConfig().GetMounts() {
		c.HostConfig.Mounts = append(c.HostConfig.Mounts, showMount(m))
	}
}

func showMount(m *runtime.Mount) mount.Mount {
	shown := mount.Mount{Type: mount.TypeBind, Source: m.GetHostPath(), Target: m.GetContainerPath(), ReadOnly: m.GetReadonly()}
	if image := m.GetImage(); image != nil {
		shown.Type, shown.Source = mount.TypeImage, ImageName(image)
		shown.ImageOptions = &mount.ImageOptions{Subpath: m.GetImageSubPath()}
		return shown
	}
	shown.BindOptions = &mount.BindOptions{
		Propagation: propagations[m.GetPropagation()], ReadOnlyForceRecursive: m.GetRecursiveReadOnly(),
	}
	return shown
}

var propagations = map[runtime.MountPropagation]mount.Propagation{
	runtime.MountPropagation_PROPAGATION_PRIVATE:           mount.PropagationRPrivate,
	runtime.MountPropagation_PROPAGATION_HOST_TO_CONTAINER: mount.PropagationRSlave,
	runtime.MountPropagation_PROPAGATION_BIDIRECTIONAL:     mount.PropagationRShared,
}

func propagation(p mount.Propagation) (runtime.MountPropagation, error) {
	if p == "" {
		p = mount.PropagationRPrivate
	}
	for known, name := range propagations {
		if name == p {
			return known, nil
		}
	}
	return 0, fmt.Errorf("CRI has no propagation %q: use rprivate, rslave or rshared", p)
}

// carryMounts edits the mounts that are still there in place, and adds those
// that hooks ask for in any of Docker's ways.
func carryMounts(c *change) {
	b, a := c.before.HostConfig, c.after.HostConfig
	shown := b.Mounts
	taken := map[string]bool{}
	take(&c.edits, "HostConfig.Mounts", &b.Mounts, a.Mounts, func(after []mount.Mount) error {
		return c.carryMountList(shown, after, taken)
	})
	for _, m := range a.Mounts {
		taken[path.Clean(m.Target)] = true
	}
	take(&c.edits, "HostConfig.Binds", &b.Binds, a.Binds, func(binds []string) error {
		for _, text := range binds {
			if err := c.addBind(text, taken); err != nil {
				return err
			}
		}
		return nil
	})
	take(&c.edits, "HostConfig.Tmpfs", &b.Tmpfs, a.Tmpfs, func(tmpfs map[string]string) error {
		return c.addTmpfs(&types.HostConfig{Tmpfs: maps.Clone(tmpfs)}, taken)
	})
	take(&c.edits, "HostConfig.ShmSize", &b.ShmSize, a.ShmSize, func(size int64) error {
		if size < 0 || taken["/dev/shm"] {
			return errors.New("it must be positive, and /dev/shm must not be mounted otherwise")
		}
		c.extra.Mounts = append(c.extra.Mounts, specs.Mount{
			Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", size)},
		})
		c.warn("HostConfig.ShmSize gives the container a /dev/shm of its own, which it does not share with its pod")
		return nil
	})
}

func (c *change) carryMountList(shown, after []mount.Mount, taken map[string]bool) error {
	sameType := func(b, a mount.Mount) bool { return b.Type == a.Type }
	pairs := pair(shown, after,
		func(b, a mount.Mount) bool { return same(b, a) },
		func(b, a mount.Mount) bool { return sameType(b, a) && path.Clean(b.Target) == path.Clean(a.Target) },
		func(b, a mount.Mount) bool { return sameType(b, a) && b.Source == a.Source },
	)
	for i, at := range pairs {
		if at >= 0 {
			taken[path.Clean(after[i].Target)] = true
		}
	}
	entries := c.config().GetMounts()
	var result []*runtime.Mount
	for i, at := range pairs {
		m := after[i]
		var err error
		switch {
		case at >= 0 && same(shown[at], m):
			result = append(result, entries[at])
		case at >= 0:
			err = editMount(entries[at], shown[at], m)
			result = append(result, entries[at])
		case m.Type == mount.TypeTmpfs:
			err = c.addTmpfs(&types.HostConfig{Mounts: []mount.Mount{m}}, taken)
		case m.Type != mount.TypeBind:
			err = fmt.Errorf("a mount of type %q cannot be added: use a bind", m.Type)
		default:
			// A source that is missing is made, whether one asks for it or not.
			var made mount.BindOptions
			if m.BindOptions != nil {
				made.CreateMountpoint = m.BindOptions.CreateMountpoint
			}
			entry := &runtime.Mount{}
			if err = claim(taken, m.Target); err == nil {
				err = editMount(entry, mount.Mount{Type: mount.TypeBind, BindOptions: &made}, m)
			}
			result = append(result, entry)
		}
		if err != nil {
			return fmt.Errorf("the mount at %q: %w", m.Target, err)
		}
	}
	c.config().Mounts = result
	return nil
}

// claim reports a path at which something is mounted already.
func claim(taken map[string]bool, target string) error {
	target = path.Clean(target)
	if taken[target] {
		return errors.New("something is mounted there already: change its entry in HostConfig.Mounts")
	}
	taken[target] = true
	return nil
}

// editMount writes into m what differs.
func editMount(m *runtime.Mount, before, after mount.Mount) error {
	if before.Type == mount.TypeBind {
		b, a := *before.BindOptions, mount.BindOptions{}
		if after.BindOptions != nil {
			a = *after.BindOptions
		}
		if b.Propagation != a.Propagation {
			p, err := propagation(a.Propagation)
			if err != nil {
				return err
			}
			m.Propagation = p
		}
		if before.Source != after.Source {
			if !path.IsAbs(after.Source) {
				return fmt.Errorf("its Source %q is not an absolute path", after.Source)
			}
			m.HostPath = after.Source
		}
		if before.Target != after.Target {
			if !path.IsAbs(after.Target) || path.Clean(after.Target) == "/" {
				return errors.New("its Target must be an absolute path below /")
			}
			m.ContainerPath = after.Target
		}
		m.Readonly, m.RecursiveReadOnly = after.ReadOnly, a.ReadOnlyForceRecursive
		before.Source, before.Target, before.ReadOnly = after.Source, after.Target, after.ReadOnly
		b.Propagation, b.ReadOnlyForceRecursive = a.Propagation, a.ReadOnlyForceRecursive
		if names := differences(b, a); names != nil {
			return fmt.Errorf("CRI cannot say BindOptions.%s", strings.Join(names, ", BindOptions."))
		}
		before.BindOptions = after.BindOptions
	}
	if names := differences(before, after); names != nil {
		return fmt.Errorf("CRI cannot change %s", strings.Join(names, ", "))
	}
	return nil
}

func (c *change) addBind(text string, taken map[string]bool) error {
	m, err := mountspec.ParseBind(text, "")
	if err != nil {
		return err
	}
	modes := strings.Split(m.Mode, ",")
	switch {
	case m.Type != mount.TypeBind:
		return fmt.Errorf("%q: pods have volumes of kubelet's alone; use a path of the host", text)
	case slices.Contains(modes, "z"):
		return fmt.Errorf("%q: CRI has no shared SELinux label; Z gives the container one of its own", text)
	}
	p, err := propagation(m.Propagation)
	if err == nil {
		err = claim(taken, m.Destination)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	config := c.config()
	config.Mounts = append(config.Mounts, &runtime.Mount{
		HostPath: m.Source, ContainerPath: m.Destination, Readonly: !m.RW, Propagation: p, SelinuxRelabel: slices.Contains(modes, "Z"),
	})
	return nil
}

func (c *change) addTmpfs(h *types.HostConfig, taken map[string]bool) error {
	list, err := mountspec.Parse(h, nil)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := claim(taken, m.Destination); err != nil {
			return err
		}
		c.extra.Mounts = append(c.extra.Mounts, specs.Mount{Destination: m.Destination, Type: "tmpfs", Source: "tmpfs", Options: m.Options})
	}
	return nil
}
