// Package mountspec reads what a container asks to have mounted, in the four
// ways in which Docker's API says it: binds ("-v"), mounts ("--mount"), tmpfs
// ("--tmpfs") and volumes (VOLUME of an image). It checks the words; whether
// sources exist is for those who mount.
package mountspec

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/types"
)

// Mount is one mount of a container.
type Mount struct {
	types.MountPoint

	// Anonymous volumes have no name yet and go with their container.
	Anonymous bool `json:",omitempty"`
	// MustExist is set for a bind whose source is not made when it is missing.
	MustExist bool `json:",omitempty"`
	// NoCopy keeps the image's content out of a new volume.
	NoCopy bool `json:",omitempty"`
	// Subpath of a volume is what is mounted; empty for all of it.
	Subpath string `json:",omitempty"`
	// NonRecursive leaves out what is mounted below a bind's source.
	NonRecursive bool `json:",omitempty"`
	// Plain is set for a tmpfs of HostConfig.Tmpfs, which is shown there.
	Plain bool `json:",omitempty"`
	// Options of a tmpfs, in the words of mount(8).
	Options []string `json:",omitempty"`
	// Labels and DriverOptions are for a volume that has to be made.
	Labels        map[string]string `json:",omitempty"`
	DriverOptions map[string]string `json:",omitempty"`
}

// Parse returns the mounts of a container in the order in which they are
// made. volumes are those of its configuration and its image, by path;
// inherited are other containers', of which the last at a place wins, unless the
// container has one of its own there.
func Parse(h *types.HostConfig, volumes map[string]struct{}, inherited ...Mount) ([]Mount, error) {
	var list []Mount
	taken := map[string]bool{}
	add := func(m Mount, err error) error {
		if err != nil {
			return err
		}
		if taken[m.Destination] {
			return invalid("Duplicate mount point: %s", m.Destination)
		}
		taken[m.Destination] = true
		list = append(list, m)
		return nil
	}
	for _, text := range h.Binds {
		if err := add(ParseBind(text, h.VolumeDriver)); err != nil {
			return nil, err
		}
	}
	for _, m := range h.Mounts {
		if err := add(parseMount(m, h.VolumeDriver)); err != nil {
			return nil, err
		}
	}
	for _, destination := range slices.Sorted(maps.Keys(h.Tmpfs)) {
		if err := add(parseTmpfs(destination, h.Tmpfs[destination])); err != nil {
			return nil, err
		}
	}
	for _, m := range slices.Backward(inherited) {
		if !taken[m.Destination] {
			list = append(list, m)
			taken[m.Destination] = true
		}
	}
	for _, text := range slices.Sorted(maps.Keys(volumes)) {
		destination, err := destinationOf(text)
		if err != nil {
			return nil, err
		}
		if !taken[destination] { // an image's volume gives way to what is asked for
			list = append(list, volume("", destination, h.VolumeDriver))
			taken[destination] = true
		}
	}
	Sort(list)
	return list, nil
}

// Sort puts mounts into the order in which they are made: what is mounted
// below another comes after it.
func Sort(list []Mount) {
	slices.SortStableFunc(list, func(a, b Mount) int {
		return cmp.Compare(strings.Count(a.Destination, "/"), strings.Count(b.Destination, "/"))
	})
}

func volume(name, destination, driver string) Mount {
	m := Mount{Anonymous: name == ""}
	m.Type, m.Name, m.Destination, m.RW = mount.TypeVolume, name, destination, true
	m.Driver = cmp.Or(driver, "local")
	return m
}

func destinationOf(text string) (string, error) {
	if !path.IsAbs(text) {
		return "", invalid("invalid mount path: '%s' mount path must be absolute", text)
	}
	if strings.ContainsRune(text, 0) {
		return "", invalid("invalid mount path: %q", text)
	}
	destination := path.Clean(text)
	if destination == "/" {
		return "", invalid("invalid specification: destination can't be '/'")
	}
	return destination, nil
}

// ParseBind reads [SOURCE:]DESTINATION[:MODE]. driver is for volumes.
func ParseBind(text, driver string) (Mount, error) {
	bad := func() (Mount, error) { return Mount{}, invalid("invalid volume specification: '%s'", text) }
	parts := strings.Split(text, ":")
	if len(parts) > 3 || slices.Contains(parts, "") || strings.ContainsRune(text, 0) {
		return bad()
	}
	source, target, mode := "", parts[0], ""
	if len(parts) > 1 {
		source, target = parts[0], parts[1]
	}
	if len(parts) == 3 {
		mode = parts[2]
	}
	destination, err := destinationOf(target)
	if err != nil {
		return Mount{}, invalid("invalid volume specification: '%s': %v", text, err)
	}
	m := volume("", destination, driver)
	switch {
	case path.IsAbs(source):
		m = Mount{}
		m.Type, m.Source, m.Destination, m.RW = mount.TypeBind, path.Clean(source), destination, true
	case source != "":
		if m = volume(source, destination, driver); !ValidVolumeName(source) {
			return Mount{}, invalid("invalid volume specification: '%s': %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", text, source)
		}
	}
	if err := m.setMode(mode); err != nil {
		return Mount{}, invalid("invalid mode: %s", mode)
	}
	return m, nil
}

// setMode applies the mode of a bind: words between commas, each kind at
// most once.
func (m *Mount) setMode(mode string) error {
	m.Mode = mode
	if m.Type == mount.TypeBind {
		m.Propagation = mount.PropagationRPrivate
	}
	if mode == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, word := range strings.Split(mode, ",") {
		kind := ""
		switch p := mount.Propagation(word); {
		case word == "ro" || word == "rw":
			kind, m.RW = "rw", word == "rw"
		case word == "z" || word == "Z": // SELinux labels; this daemon sets none
			kind = "label"
		case word == "nocopy" && m.Type == mount.TypeVolume:
			kind, m.NoCopy = "copy", true
		case slices.Contains([]string{"consistent", "cached", "delegated"}, word):
			kind = "consistency"
		case slices.Contains(mount.Propagations, p) && m.Type == mount.TypeBind:
			kind, m.Propagation = "propagation", p
		}
		if kind == "" || seen[kind] {
			return fmt.Errorf("bad mode")
		}
		seen[kind] = true
	}
	return nil
}

// ValidVolumeName tells whether name can be that of a volume.
func ValidVolumeName(name string) bool {
	if len(name) < 2 {
		return false
	}
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return true
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
