package networks

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"
)

// The drivers.
const (
	driverBridge = "bridge"
	driverHost   = "host"
	driverNull   = "null"
)

// record is what the store keeps of a network.
type record struct {
	ID, Name, Driver     string
	Created              time.Time
	Internal, Attachable bool              `json:",omitempty"`
	IPv6                 bool              `json:",omitempty"`
	Subnets              []subnet          `json:",omitempty"`
	Options              map[string]string `json:",omitempty"`
	Labels               map[string]string `json:",omitempty"`
	IPAMOptions          map[string]string `json:",omitempty"`
}

// subnet is one range of a network's addresses, at most one of each family.
type subnet struct {
	Prefix  netip.Prefix
	Gateway netip.Addr
	// Range is where addresses are given from; the zero prefix is all of it.
	Range netip.Prefix          `json:",omitzero"`
	Aux   map[string]netip.Addr `json:",omitempty"`
	// Chosen means that nobody asked for this subnet: another will do.
	Chosen bool `json:",omitempty"`
}

// entry is one network in memory. Its record is changed under Service.mu.
type entry struct {
	record
	removing bool // under Service.mu: nothing may be connected any more

	device  sync.Mutex // held while the bridge is made and removed
	ready   bool       // under device: this daemon has seen to the bridge
	options options    // parsed from the record's
}

func newEntry(r record) (*entry, error) {
	o, err := parseOptions(r.Options)
	if err != nil {
		return nil, err
	}
	return &entry{record: r, options: o}, nil
}

// predefined reports whether the network is one that every daemon has.
func (r *record) predefined() bool {
	return slices.Contains([]string{network.NetworkBridge, network.NetworkHost, network.NetworkNone}, r.Name)
}

// userDefined reports whether containers find each other by name there.
func (r *record) userDefined() bool { return !r.predefined() }

// prefixes are the network's subnets.
func (r *record) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range r.Subnets {
		all = append(all, s.Prefix)
	}
	return all
}

// subnet returns the network's addresses of one family.
func (r *record) subnet(v6 bool) *subnet {
	for i := range r.Subnets {
		if r.Subnets[i].Prefix.Addr().Is6() == v6 {
			return &r.Subnets[i]
		}
	}
	return nil
}

// bridge is the name of the network's device.
func (e *entry) bridge() string {
	if e.options.bridge != "" {
		return e.options.bridge
	}
	return "px-" + e.ID[:12]
}

// describe returns a network as clients see it.
func (e *entry) describe() network.Network {
	n := network.Network{
		Name: e.Name, ID: e.ID, Created: e.Created, Scope: "local", Driver: e.Driver,
		EnableIPv4: true, EnableIPv6: e.IPv6, Internal: e.Internal, Attachable: e.Attachable,
		IPAM:    network.IPAM{Driver: "default", Options: maps.Clone(e.IPAMOptions)},
		Options: maps.Clone(e.Options), Labels: maps.Clone(e.Labels),
	}
	if n.Options == nil {
		n.Options = map[string]string{}
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	for _, s := range e.Subnets {
		n.IPAM.Config = append(n.IPAM.Config, network.IPAMConfig{
			Subnet: s.Prefix, IPRange: s.Range, Gateway: s.Gateway, AuxAddress: maps.Clone(s.Aux),
		})
	}
	if e.Name == network.NetworkBridge {
		n.Options[optionBridge] = e.bridge()
	}
	return n
}

// randomID returns 64 hexadecimal digits.
func randomID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
