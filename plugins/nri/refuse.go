package nri

import (
	"fmt"
	"slices"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

// refusals lists what a plugin asks for and a container's configuration has no
// field for.
func refusals(plugin string, a *adaptation.ContainerAdjustment, evictions int) (all []string) {
	refuse := func(field string, asked bool) {
		if asked {
			all = append(all, fmt.Sprintf("NRI plugin %q asks for %s, which a container of Docker's API cannot have", plugin, field))
		}
	}
	refuse("evictions", evictions > 0)
	if a == nil {
		return all
	}
	refuse("CDI devices", len(a.CDIDevices) > 0)
	h := a.GetHooks()
	for name, list := range map[string][]*api.Hook{
		"createContainer": h.GetCreateContainer(), "startContainer": h.GetStartContainer(), "poststart": h.GetPoststart(), "poststop": h.GetPoststop(),
	} {
		refuse(name+" hooks", len(list) > 0)
	}
	l := a.GetLinux()
	refuse("linux.cgroupsPath", l.GetCgroupsPath() != "")
	refuse("linux.ioPriority", l.GetIoPriority() != nil)
	refuse("linux.seccompPolicy", l.GetSeccompPolicy() != nil)
	refuse("linux.namespaces", len(l.GetNamespaces()) > 0)
	refuse("linux.netDevices", len(l.GetNetDevices()) > 0)
	refuse("linux.scheduler", l.GetScheduler() != nil)
	refuse("linux.rdt", l.GetRdt() != nil)
	refuse("linux.memoryPolicy", l.GetMemoryPolicy() != nil)
	for _, d := range l.GetDevices() {
		refuse(fmt.Sprintf("a mode or an owner of the device %s", d.Path), d.FileMode != nil || d.Uid != nil || d.Gid != nil)
	}
	r := l.GetResources()
	refuse("linux.resources.memory.kernel", r.GetMemory().GetKernel() != nil)
	refuse("linux.resources.memory.kernelTCP", r.GetMemory().GetKernelTcp() != nil)
	refuse("linux.resources.memory.useHierarchy", r.GetMemory().GetUseHierarchy() != nil)
	refuse("linux.resources.hugepageLimits", len(r.GetHugepageLimits()) > 0)
	refuse("linux.resources.blockioClass", r.GetBlockioClass() != nil)
	refuse("linux.resources.rdtClass", r.GetRdtClass() != nil)
	refuse("linux.resources.unified", len(r.GetUnified()) > 0)
	refuse("linux.resources.devices", len(r.GetDevices()) > 0)
	slices.Sort(all)
	return all
}
