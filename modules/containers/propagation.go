package containers

import (
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/sys/mountinfo"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
)

// checkPropagation refuses a bind that is to pass mounts on where the host does
// not: the container would wait for them in vain.
func checkPropagation(m mountspec.Mount) error {
	slave := m.Propagation == mount.PropagationSlave || m.Propagation == mount.PropagationRSlave
	if !slave && m.Propagation != mount.PropagationShared && m.Propagation != mount.PropagationRShared {
		return nil
	}
	above, err := mountinfo.GetMounts(mountinfo.ParentsFilter(m.Source))
	if err != nil {
		return err
	}
	// Of several at one place the last is seen.
	var on *mountinfo.Info
	for _, info := range above {
		if on == nil || len(info.Mountpoint) >= len(on.Mountpoint) {
			on = info
		}
	}
	if on == nil {
		return invalid("cannot find the mount of %s", m.Source)
	}
	var shared, follows bool
	for field := range strings.FieldsSeq(on.Optional) {
		shared = shared || strings.HasPrefix(field, "shared:")
		follows = follows || strings.HasPrefix(field, "master:")
	}
	switch {
	case slave && !shared && !follows:
		return invalid("path %s is mounted on %s but it is not a shared or slave mount", m.Source, on.Mountpoint)
	case !slave && !shared:
		return invalid("path %s is mounted on %s but it is not a shared mount", m.Source, on.Mountpoint)
	}
	return nil
}
