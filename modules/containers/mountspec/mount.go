package mountspec

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/mount"
)

// parseMount reads an entry of HostConfig.Mounts.
func parseMount(from mount.Mount, driver string) (Mount, error) {
	bad := func(format string, args ...any) (Mount, error) {
		return Mount{}, invalid("invalid mount config for type %q: %s", from.Type, fmt.Sprintf(format, args...))
	}
	if from.Target == "" {
		return bad("field Target must not be empty")
	}
	destination, err := destinationOf(from.Target)
	if err != nil {
		return bad("%v", err)
	}
	for _, other := range []struct {
		name  string
		given bool
		of    mount.Type
	}{
		{"BindOptions", from.BindOptions != nil, mount.TypeBind},
		{"VolumeOptions", from.VolumeOptions != nil, mount.TypeVolume},
		{"TmpfsOptions", from.TmpfsOptions != nil, mount.TypeTmpfs},
		{"ImageOptions", from.ImageOptions != nil, mount.TypeImage},
	} {
		if other.given && other.of != from.Type {
			return bad("field %s must not be specified", other.name)
		}
	}
	var m Mount
	switch from.Type {
	case mount.TypeBind:
		m, err = bindMount(from)
	case mount.TypeVolume:
		m, err = volumeMount(from, destination, driver)
	case mount.TypeTmpfs:
		m, err = tmpfsMount(from)
	case mount.TypeImage, mount.TypeCluster, mount.TypeNamedPipe:
		return Mount{}, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("mounts of type %q are not supported by this daemon: use bind, volume or tmpfs", from.Type))
	default:
		return Mount{}, invalid("mount type unknown: %q", from.Type)
	}
	if err != nil {
		return bad("%v", err)
	}
	m.Type, m.Destination, m.RW = from.Type, destination, !from.ReadOnly
	return m, nil
}

func bindMount(from mount.Mount) (m Mount, err error) {
	switch {
	case from.Source == "":
		return m, fmt.Errorf("field Source must not be empty")
	case !path.IsAbs(from.Source) || strings.ContainsRune(from.Source, 0):
		return m, fmt.Errorf("invalid mount path: '%s' mount path must be absolute", from.Source)
	}
	m.Source, m.MustExist, m.Propagation = path.Clean(from.Source), true, mount.PropagationRPrivate
	if o := from.BindOptions; o != nil {
		m.MustExist, m.NonRecursive = !o.CreateMountpoint, o.NonRecursive
		if o.ReadOnlyNonRecursive || o.ReadOnlyForceRecursive {
			return m, fmt.Errorf("BindOptions.ReadOnlyNonRecursive and ReadOnlyForceRecursive are not supported by this daemon: a read-only bind is not recursively read-only")
		}
		if o.Propagation != "" {
			if !slices.Contains(mount.Propagations, o.Propagation) {
				return m, fmt.Errorf("invalid propagation mode: %s", o.Propagation)
			}
			m.Propagation = o.Propagation
		}
	}
	return m, nil
}

func volumeMount(from mount.Mount, destination, driver string) (Mount, error) {
	if from.Source != "" && !ValidVolumeName(from.Source) {
		return Mount{}, fmt.Errorf("%q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed", from.Source)
	}
	m := volume(from.Source, destination, driver)
	if o := from.VolumeOptions; o != nil {
		m.NoCopy, m.Labels, m.Subpath = o.NoCopy, o.Labels, o.Subpath
		if m.Subpath != "" && (path.IsAbs(m.Subpath) || slices.Contains(strings.Split(m.Subpath, "/"), "..")) {
			return m, fmt.Errorf("subpath must be a relative path within the volume")
		}
		if m.Anonymous && m.Subpath != "" {
			return m, fmt.Errorf("must not set Subpath when using anonymous volumes")
		}
		if d := o.DriverConfig; d != nil {
			m.DriverOptions = d.Options
			if d.Name != "" {
				m.Driver = d.Name
			}
		}
	}
	return m, nil
}

func tmpfsMount(from mount.Mount) (m Mount, err error) {
	if from.Source != "" {
		return m, fmt.Errorf("field Source must not be specified")
	}
	m.Options = []string{"noexec", "nosuid", "nodev"}
	if o := from.TmpfsOptions; o != nil {
		if o.SizeBytes < 0 {
			return m, fmt.Errorf("size must not be negative")
		}
		if o.SizeBytes > 0 {
			m.Options = append(m.Options, "size="+strconv.FormatInt(o.SizeBytes, 10))
		}
		if o.Mode != 0 {
			m.Options = append(m.Options, fmt.Sprintf("mode=%o", o.Mode))
		}
		for _, pair := range o.Options {
			if len(pair) == 0 || len(pair) > 2 {
				return m, fmt.Errorf("invalid option array length")
			}
			if m.Options, err = tmpfsOption(m.Options, strings.Join(pair, "=")); err != nil {
				return m, err
			}
		}
	}
	if from.ReadOnly {
		m.Options = append(m.Options, "ro")
	}
	return m, nil
}

// parseTmpfs reads an entry of HostConfig.Tmpfs.
func parseTmpfs(target, options string) (Mount, error) {
	destination, err := destinationOf(target)
	if err != nil {
		return Mount{}, err
	}
	m := Mount{Plain: true, Options: []string{"noexec", "nosuid", "nodev"}}
	m.Type, m.Destination, m.RW, m.Mode = mount.TypeTmpfs, destination, true, options
	if options == "" {
		return m, nil
	}
	for _, o := range strings.Split(options, ",") {
		if m.Options, err = tmpfsOption(m.Options, o); err != nil {
			return Mount{}, err
		}
		if o == "ro" {
			m.RW = false
		}
	}
	return m, nil
}

// flags of mount(8) that a tmpfs may have, with the one that each undoes.
var flags = map[string]string{
	"exec": "noexec", "noexec": "exec", "suid": "nosuid", "nosuid": "suid", "dev": "nodev", "nodev": "dev",
	"ro": "rw", "rw": "ro", "sync": "async", "async": "sync", "atime": "noatime", "noatime": "atime",
	"diratime": "nodiratime", "nodiratime": "diratime", "relatime": "norelatime", "norelatime": "relatime",
	"strictatime": "nostrictatime", "nostrictatime": "strictatime",
	"private": "", "rprivate": "", "shared": "", "rshared": "", "slave": "", "rslave": "", "unbindable": "", "runbindable": "",
}

func tmpfsOption(options []string, o string) ([]string, error) {
	if opposite, ok := flags[o]; ok {
		options = slices.DeleteFunc(options, func(have string) bool { return have == opposite || have == o })
		return append(options, o), nil
	}
	key, value, ok := strings.Cut(o, "=")
	switch key {
	case "size":
		if strings.HasSuffix(value, "%") {
			break
		}
		size, err := units.RAMInBytes(value)
		if err != nil {
			return nil, invalid("invalid tmpfs option %q: %v", o, err)
		}
		o = "size=" + strconv.FormatInt(size, 10)
	case "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge":
	default:
		ok = false
	}
	if !ok || value == "" || strings.ContainsRune(o, 0) {
		return nil, invalid("invalid tmpfs option [\"%s\"]", o)
	}
	options = slices.DeleteFunc(options, func(have string) bool { return strings.HasPrefix(have, key+"=") })
	return append(options, o), nil
}
