package mapping

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/types"
)

// mountPoints shows the mounts of a specification, and where each is in it.
func mountPoints(s *specs.Spec) (points []types.MountPoint, indexes []int) {
	for i, m := range s.Mounts {
		p := types.MountPoint{Type: mount.TypeBind, Source: m.Source, Destination: m.Destination, RW: true}
		bind := m.Type == "bind"
		for _, o := range m.Options {
			switch {
			case o == "bind", o == "rbind":
				bind = true
			case o == "ro", o == "rro":
				p.RW = false
			case slices.Contains(mount.Propagations, mount.Propagation(o)):
				p.Propagation = mount.Propagation(o)
			}
		}
		switch {
		case bind:
		case m.Type == "tmpfs" && m.Destination != "/dev" && m.Destination != "/dev/shm":
			p.Type, p.Source, p.Propagation, p.Mode = mount.TypeTmpfs, "", "", strings.Join(m.Options, ",")
		default:
			continue
		}
		points, indexes = append(points, p), append(indexes, i)
	}
	return points, indexes
}

// editMounts makes the specification's mounts those that points describe. What
// a point does not say is as it was.
func editMounts(s *specs.Spec, after []types.MountPoint) error {
	before, indexes := mountPoints(s)
	if same(before, after) {
		return nil
	}
	sameType := func(b, a types.MountPoint) bool { return b.Type == a.Type }
	pairs := pair(before, after,
		func(b, a types.MountPoint) bool { return b == a },
		func(b, a types.MountPoint) bool { return sameType(b, a) && b.Destination == a.Destination },
	)
	mounts := slices.Clone(s.Mounts)
	var added []specs.Mount
	gone := map[int]bool{}
	for _, i := range indexes {
		gone[i] = true
	}
	for i, at := range pairs {
		was, m := types.MountPoint{Type: after[i].Type, RW: true}, specs.Mount{}
		if at >= 0 {
			was, m = before[at], mounts[indexes[at]]
			gone[indexes[at]] = false
		}
		if at >= 0 && was == after[i] {
			continue
		}
		m, err := editPoint(s, m, was, after[i])
		switch {
		case err != nil:
			return err
		case at >= 0:
			mounts[indexes[at]] = m
		default:
			added = append(added, m)
		}
	}
	s.Mounts = nil
	for i, m := range mounts {
		if !gone[i] {
			s.Mounts = append(s.Mounts, m)
		}
	}
	for _, m := range added {
		s.Mounts = withMount(s.Mounts, m)
	}
	return nil
}

// editPoint returns m, a new one where it is empty, as a hook wants it.
func editPoint(s *specs.Spec, m specs.Mount, was, now types.MountPoint) (specs.Mount, error) {
	fresh := m.Destination == ""
	switch {
	case !path.IsAbs(now.Destination) || path.Clean(now.Destination) == "/":
		return m, invalid("a mount changed at start: invalid mount path: %q must be absolute and not '/'", now.Destination)
	case now.Type == mount.TypeVolume:
		return m, invalid("a mount changed at start: volume %s on %s: pods have volumes of kubelet's alone; use a bind", now.Name, now.Destination)
	case now.Type != mount.TypeBind && now.Type != mount.TypeTmpfs:
		return m, invalid("a mount changed at start: mount type unknown: %q", now.Type)
	case now.Type == mount.TypeBind && !path.IsAbs(now.Source):
		return m, invalid("a mount changed at start: invalid source %q: it must be absolute", now.Source)
	case now.Propagation != "" && !slices.Contains(mount.Propagations, now.Propagation):
		return m, invalid("a mount changed at start: invalid propagation %q", now.Propagation)
	}
	m.Destination = now.Destination
	m.Options = slices.Clone(m.Options)
	if now.Type == mount.TypeTmpfs {
		m.Type, m.Source = "tmpfs", "tmpfs"
		if fresh || was.Mode != now.Mode {
			m.Options = nil
			if now.Mode != "" {
				m.Options = strings.Split(now.Mode, ",")
			}
		}
	} else {
		m.Source = now.Source
		if fresh {
			m.Type, m.Options = "bind", []string{"rbind"}
		}
		if fresh || was.Propagation != now.Propagation {
			setPropagation(s, &m, now.Propagation)
		}
	}
	if was.RW != now.RW {
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" || o == "rro" || o == "rw" })
		access := "ro"
		if now.RW {
			access = "rw"
		}
		m.Options = append(m.Options, access)
	}
	return m, nil
}

// setPropagation lets events through the root's mount too, where the mount
// asks for them: the runtime makes it private otherwise.
func setPropagation(s *specs.Spec, m *specs.Mount, p mount.Propagation) {
	if p == "" {
		p = mount.PropagationRPrivate
	}
	m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return slices.Contains(mount.Propagations, mount.Propagation(o)) })
	m.Options = append(m.Options, string(p))
	linux := own(&s.Linux)
	switch {
	case strings.HasSuffix(string(p), "shared"):
		linux.RootfsPropagation = "rshared"
	case strings.HasSuffix(string(p), "slave") && linux.RootfsPropagation != "rshared" && linux.RootfsPropagation != "shared":
		linux.RootfsPropagation = "rslave"
	}
}
