package networks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/pouchfx/pouchfx/networktypes"
)

const cniVersion = "1.0.0"

// bridgeConfig is the configuration of the CNI program bridge.
type bridgeConfig struct {
	CNIVersion    string `json:"cniVersion"`
	Name          string `json:"name"`
	Type          string `json:"type"`
	Bridge        string `json:"bridge"`
	MTU           int    `json:"mtu,omitempty"`
	HairpinMode   bool   `json:"hairpinMode"`
	PortIsolation bool   `json:"portIsolation"`
	IPAM          ipam   `json:"ipam"`
	Args          args   `json:"args"`
	RuntimeConfig struct {
		MAC string       `json:"mac,omitempty"`
		IPs []netip.Addr `json:"ips,omitempty"`
	} `json:"runtimeConfig"`
}

type args struct {
	CNI map[string]any `json:"cni,omitempty"`
}

// ipam is the configuration of the CNI program host-local.
type ipam struct {
	Type    string        `json:"type"`
	DataDir string        `json:"dataDir"`
	Ranges  [][]ipamRange `json:"ranges"`
}

type ipamRange struct {
	Subnet  netip.Prefix `json:"subnet"`
	Gateway netip.Addr   `json:"gateway"`
	Start   netip.Addr   `json:"rangeStart,omitzero"`
	End     netip.Addr   `json:"rangeEnd,omitzero"`
}

// config writes the configuration with which an endpoint is plugged in, and
// unplugged even if its network is gone by then. The bridge is ours: the
// program neither gives it addresses nor sets routes.
func (s *Service) config(e *entry, asked *networktypes.Endpoint) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := bridgeConfig{
		CNIVersion: cniVersion, Name: e.ID, Type: programBridge, Bridge: e.bridge(), MTU: e.options.mtu,
		HairpinMode: true, PortIsolation: !e.options.icc,
		IPAM: ipam{Type: programAddresses, DataDir: s.programs.leases("")},
		Args: args{CNI: asked.GenericParams},
	}
	c.RuntimeConfig.MAC = asked.EndpointConfig.MacAddress.String()
	for _, sub := range e.Subnets {
		static := staticAddress(asked.EndpointConfig, sub.Prefix.Addr().Is6())
		if static.IsValid() {
			c.RuntimeConfig.IPs = append(c.RuntimeConfig.IPs, static)
		}
		c.IPAM.Ranges = append(c.IPAM.Ranges, []ipamRange{sub.ipamRange(static.IsValid())})
	}
	return json.Marshal(c)
}

// ipamRange is where addresses are taken from: the ip-range, or all of the
// subnet for those that clients choose.
func (s *subnet) ipamRange(whole bool) ipamRange {
	r := ipamRange{Subnet: s.Prefix, Gateway: s.Gateway}
	if !s.Range.IsValid() || whole {
		return r
	}
	if r.Start = s.Range.Addr(); r.Start == s.Prefix.Addr() {
		r.Start = r.Start.Next()
	}
	if r.End = lastAddr(s.Range); r.End.Is4() && r.End == lastAddr(s.Prefix) {
		r.End = r.End.Prev()
	}
	return r
}

// auxiliary is what the lease of an address says that no container may have.
const auxiliary = "auxiliary address"

// reserveAddresses makes leases for the addresses that have another use: CNI
// has no other way to keep them from containers.
func (s *Service) reserveAddresses(e *entry) error {
	dir := s.programs.leases(e.ID)
	for _, sub := range e.Subnets {
		for _, addr := range sub.Aux {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			f, err := os.OpenFile(filepath.Join(dir, addr.String()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("reserve the address %s: %w", addr, err)
			}
			_, err = f.WriteString(auxiliary)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}
