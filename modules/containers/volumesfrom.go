package containers

import (
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/types"
)

// volumesFrom returns the volumes and binds of the containers that
// HostConfig.VolumesFrom names.
func (s *Service) volumesFrom(h *types.HostConfig) ([]mountspec.Mount, error) {
	var list []mountspec.Mount
	for _, text := range h.VolumesFrom {
		name, writable, err := mountspec.ParseVolumesFrom(text)
		if err != nil {
			return nil, err
		}
		other, err := s.index.get(name)
		if errdefs.IsNotFound(err) { // the docker command would look for the image otherwise
			return nil, invalid("%v", err)
		}
		if err != nil {
			return nil, err
		}
		for _, m := range other.record().Mounts {
			if m.Type == mount.TypeTmpfs {
				continue
			}
			m.RW = m.RW && writable
			m.NoCopy = true // what is there is what is wanted
			list = append(list, m)
		}
	}
	return list, nil
}
