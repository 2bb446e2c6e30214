package containers

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// publishedPorts are those that a container publishes: what -p asks for, and
// with -P all that are exposed.
func publishedPorts(r *record) network.PortMap {
	ports := network.PortMap{}
	for p, bindings := range r.HostConfig.PortBindings {
		if len(bindings) > 0 || r.HostConfig.PublishAllPorts {
			ports[p] = bindings
		}
	}
	if r.HostConfig.PublishAllPorts {
		for p := range r.Config.ExposedPorts {
			if _, asked := ports[p]; !asked {
				ports[p] = nil
			}
		}
	}
	return ports
}

// shownPorts are the published ports of a running container and, without a
// binding, those that it only exposes.
func shownPorts(r *record, published network.PortMap) network.PortMap {
	ports := network.PortMap{}
	for p := range r.Config.ExposedPorts {
		ports[p] = nil
	}
	for p := range r.HostConfig.PortBindings {
		ports[p] = nil
	}
	for p, bindings := range published {
		ports[p] = bindings
	}
	return ports
}

// portSummaries are the ports as ps lists them.
func portSummaries(ports network.PortMap) []container.PortSummary {
	list := []container.PortSummary{}
	for p, bindings := range ports {
		one := container.PortSummary{PrivatePort: p.Num(), Type: string(p.Proto())}
		if len(bindings) == 0 {
			list = append(list, one)
		}
		for _, b := range bindings {
			public, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err != nil {
				continue // not bound yet
			}
			one.IP, one.PublicPort = b.HostIP, uint16(public)
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b container.PortSummary) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.PublicPort, b.PublicPort), a.IP.Compare(b.IP))
	})
	return list
}
