package firewall

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// sets are the parts of the table that change while containers come and go.
type sets struct {
	// bridges are ours; internal those of internal networks; talking holds
	// (bridge, bridge) where containers may talk to each other.
	bridges, internal, talking *nftables.Set
	// ports and anyPorts lead (address, protocol, port) and (protocol, port)
	// to (address, port) of a container; index 1 is for IPv6.
	ports, anyPorts [2]*nftables.Set
}

// newSets describes the sets of a table. Their ids are ours to choose within a
// transaction; the library's own are counted without a lock.
func newSets(table *nftables.Table) sets {
	id := uint32(0)
	set := func(name string, key ...nftables.SetDatatype) *nftables.Set {
		id++
		return &nftables.Set{Table: table, ID: id, Name: name, KeyType: nftables.MustConcatSetType(key...),
			Concatenation: len(key) > 1, KeyByteOrder: order(key)}
	}
	mapped := func(name string, addr nftables.SetDatatype, key ...nftables.SetDatatype) *nftables.Set {
		m := set(name, key...)
		m.IsMap, m.DataType = true, nftables.MustConcatSetType(addr, nftables.TypeInetService)
		return m
	}
	s := sets{
		bridges:  set("bridges", nftables.TypeIFName),
		internal: set("internal", nftables.TypeIFName),
		talking:  set("talking", nftables.TypeIFName, nftables.TypeIFName),
	}
	for i, family := range []struct {
		name string
		addr nftables.SetDatatype
	}{{"4", nftables.TypeIPAddr}, {"6", nftables.TypeIP6Addr}} {
		s.ports[i] = mapped("ports"+family.name, family.addr, family.addr, nftables.TypeInetProto, nftables.TypeInetService)
		s.anyPorts[i] = mapped("anyports"+family.name, family.addr, nftables.TypeInetProto, nftables.TypeInetService)
	}
	return s
}

// order tells nft in which order to print a key.
func order(key []nftables.SetDatatype) binaryutil.ByteOrder {
	if len(key) == 1 { // the name of an interface
		return binaryutil.NativeEndian
	}
	return nil
}

func (s sets) all() []*nftables.Set {
	return []*nftables.Set{s.bridges, s.internal, s.talking, s.ports[0], s.anyPorts[0], s.ports[1], s.anyPorts[1]}
}

// elements are what a transaction adds to or removes from sets.
type elements map[*nftables.Set][]nftables.SetElement

// network adds what the sets hold of a network.
func (e elements) network(s sets, n Network) {
	name := interfaceName(n.Bridge)
	e.add(s.bridges, name, nil)
	if n.Internal {
		e.add(s.internal, name, nil)
	}
	if n.ICC {
		e.add(s.talking, append(name, name...), nil)
	}
}

// port adds what the maps hold of a published port.
func (e elements) port(s sets, a address, p Port) {
	set, i := &s.ports, 0
	if a.v6 {
		i = 1
	}
	var key []byte
	if a.ip.IsValid() {
		key = a.ip.AsSlice()
	} else {
		set = &s.anyPorts
	}
	key = append(key, a.protocol, 0, 0, 0) // each part takes whole registers of 4 bytes
	key = append(key, portBytes(a.port)...)
	e.add(set[i], key, append(p.Container.Unmap().AsSlice(), portBytes(p.ContainerPort)...))
}

func (e elements) add(s *nftables.Set, key, value []byte) {
	e[s] = append(e[s], nftables.SetElement{Key: key, Val: value})
}

func portBytes(port uint16) []byte { return []byte{byte(port >> 8), byte(port), 0, 0} }

// loopback and loopback6 are what must not leave a host.
var (
	loopback  = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)
