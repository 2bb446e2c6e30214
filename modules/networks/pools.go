package networks

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
)

// pool is a range of addresses that networks are cut from.
type pool struct {
	prefix netip.Prefix
	bits   int // of a network's prefix
}

// defaultPools are dockerd's, in its order.
var defaultPools = []pool{
	{netip.MustParsePrefix("172.17.0.0/16"), 16},
	{netip.MustParsePrefix("172.18.0.0/16"), 16},
	{netip.MustParsePrefix("172.19.0.0/16"), 16},
	{netip.MustParsePrefix("172.20.0.0/14"), 16},
	{netip.MustParsePrefix("172.24.0.0/14"), 16},
	{netip.MustParsePrefix("172.28.0.0/14"), 16},
	{netip.MustParsePrefix("192.168.0.0/16"), 20},
}

// freeSubnet returns the first IPv4 network of the default pools that overlaps
// with none of those taken.
func freeSubnet(taken []netip.Prefix) (netip.Prefix, error) {
	for _, p := range defaultPools {
		first := binary.BigEndian.Uint32(p.prefix.Addr().AsSlice())
		for i := range uint32(1) << (p.bits - p.prefix.Bits()) {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], first+i<<(32-p.bits))
			if candidate := netip.PrefixFrom(netip.AddrFrom4(b), p.bits); !overlaps(candidate, taken) {
				return candidate, nil
			}
		}
	}
	return netip.Prefix{}, invalid("all predefined address pools have been fully subnetted: remove networks that nobody needs, or give one a subnet")
}

// randomSubnet6 returns a /64 of the addresses that anybody may use at home
// (RFC 4193), random as that demands.
func randomSubnet6() netip.Prefix {
	var b [16]byte
	_, _ = rand.Read(b[1:8]) // never fails
	b[0] = 0xfd
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// overlaps reports whether p shares addresses with one of the others.
func overlaps(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if p.Overlaps(o) {
			return true
		}
	}
	return false
}

// lastAddr is the highest address of a network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
