package mapping

import (
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/container"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/types"
)

// cdi is the driver of requests for devices of the Container Device Interface.
const cdi = "cdi"

func showDevices(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	h := c.HostConfig
	for _, d := range r.GetConfig().GetDevices() {
		h.Devices = append(h.Devices, container.DeviceMapping{
			PathOnHost: d.GetHostPath(), PathInContainer: d.GetContainerPath(), CgroupPermissions: d.GetPermissions(),
		})
	}
	if names := cdiNames(r.GetConfig().GetCDIDevices()); names != nil {
		h.DeviceRequests = []container.DeviceRequest{{Driver: cdi, DeviceIDs: names}}
	}
}

func cdiNames(devices []*runtime.CDIDevice) (names []string) {
	for _, d := range devices {
		names = append(names, d.GetName())
	}
	return names
}

func carryDevices(c *change) {
	b, a := c.before.HostConfig, c.after.HostConfig
	shown := b.Devices
	take(&c.edits, "HostConfig.Devices", &b.Devices, a.Devices, func(after []container.DeviceMapping) error {
		return c.carryDeviceList(shown, after)
	})
	take(&c.edits, "HostConfig.DeviceRequests", &b.DeviceRequests, a.DeviceRequests, c.carryRequests)
	take(&c.edits, "HostConfig.DeviceCgroupRules", &b.DeviceCgroupRules, a.DeviceCgroupRules, func(rules []string) error {
		for _, text := range rules {
			rule, err := ocispec.ParseDeviceRule(text)
			if err != nil {
				return err
			}
			c.extra.DeviceRules = append(c.extra.DeviceRules, rule)
		}
		return nil
	})
}

func (c *change) carryDeviceList(shown, after []container.DeviceMapping) error {
	pairs := pair(shown, after,
		func(b, a container.DeviceMapping) bool { return b == a },
		func(b, a container.DeviceMapping) bool { return b.PathInContainer == a.PathInContainer },
		func(b, a container.DeviceMapping) bool { return b.PathOnHost == a.PathOnHost },
	)
	entries := c.config().GetDevices()
	var result []*runtime.Device
	for i, at := range pairs {
		d, entry := after[i], &runtime.Device{}
		if at >= 0 {
			entry = entries[at]
		}
		if at < 0 || shown[at] != d {
			if d.CgroupPermissions == "" {
				d.CgroupPermissions = "rwm"
			}
			if d.PathInContainer == "" {
				d.PathInContainer = d.PathOnHost
			}
			if d.PathOnHost == "" || !ocispec.ValidDeviceMode(d.CgroupPermissions) {
				return fmt.Errorf("the device %q with the mode %q: give it a path of the host and some of r, w and m", d.PathOnHost, d.CgroupPermissions)
			}
			entry.HostPath, entry.ContainerPath, entry.Permissions = d.PathOnHost, d.PathInContainer, d.CgroupPermissions
		}
		result = append(result, entry)
	}
	c.config().Devices = result
	return nil
}

// carryRequests carries what can be asked for by name alone.
func (c *change) carryRequests(requests []container.DeviceRequest) error {
	var names []string
	for _, r := range requests {
		if r.Driver != cdi || r.Count != 0 || len(r.Capabilities) > 0 || len(r.Options) > 0 {
			return fmt.Errorf("CRI takes the names of CDI devices alone: set Driver %q and DeviceIDs", cdi)
		}
		names = append(names, r.DeviceIDs...)
	}
	if slices.Contains(names, "") {
		return fmt.Errorf("the name of a CDI device is empty")
	}
	entries := c.config().GetCDIDevices()
	var result []*runtime.CDIDevice
	for i, at := range pair(cdiNames(entries), names, equal) {
		if at >= 0 {
			result = append(result, entries[at])
		} else {
			result = append(result, &runtime.CDIDevice{Name: names[i]})
		}
	}
	c.config().CDIDevices = result
	return nil
}
