package networks

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func TestTheFirstFreeSubnetIsTaken(t *testing.T) {
	for _, tc := range []struct {
		want  string
		taken []netip.Prefix
	}{
		{"172.17.0.0/16", nil},
		{"172.18.0.0/16", prefixes("172.17.0.0/16")},
		{"172.19.0.0/16", prefixes("172.17.5.0/24", "172.18.0.1/32")},
		{"172.17.0.0/16", prefixes("10.0.0.0/8", "fd00::/8")},
		{"172.24.0.0/16", prefixes("172.16.0.0/13")},
		{"192.168.0.0/20", prefixes("172.16.0.0/12")},
		{"192.168.16.0/20", prefixes("172.16.0.0/12", "192.168.1.0/24")},
	} {
		got, err := freeSubnet(tc.taken)
		require.NoError(t, err)
		assert.Equal(t, tc.want, got.String(), "%v", tc.taken)
	}
}

func TestThePoolsEnd(t *testing.T) {
	var taken []netip.Prefix
	for {
		p, err := freeSubnet(taken)
		if err != nil {
			assert.ErrorContains(t, err, "all predefined address pools have been fully subnetted")
			break
		}
		require.False(t, overlaps(p, taken), "%s is taken", p)
		taken = append(taken, p)
	}
	assert.Len(t, taken, 15+16, "as many as dockerd has")
}

func TestAFreeSubnetNeverOverlaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var taken []netip.Prefix
		for range random.IntN(40) {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], random.Uint32())
			if random.IntN(2) == 0 {
				b[0], b[1] = 172, 16+b[1]%16
			}
			taken = append(taken, netip.PrefixFrom(netip.AddrFrom4(b), 8+random.IntN(25)).Masked())
		}
		p, err := freeSubnet(taken)
		if err != nil {
			continue
		}
		for _, other := range taken {
			require.False(t, p.Contains(other.Addr()) || other.Contains(p.Addr()), "%s and %s of %v", p, other, taken)
		}
	}
}

func TestRandomSubnetsOfIPv6AreUniqueLocal(t *testing.T) {
	p := randomSubnet6()
	assert.True(t, netip.MustParsePrefix("fd00::/8").Contains(p.Addr()))
	assert.Equal(t, p.Masked(), p)
	assert.NotEqual(t, p, randomSubnet6())
}

func TestLastAddr(t *testing.T) {
	for p, want := range map[string]string{
		"10.0.0.0/8": "10.255.255.255", "10.1.2.0/23": "10.1.3.255", "10.1.2.4/32": "10.1.2.4", "fd00::/64": "fd00::ffff:ffff:ffff:ffff",
	} {
		assert.Equal(t, want, lastAddr(netip.MustParsePrefix(p)).String())
	}
}

func TestConflictsWithTheHostsRoutes(t *testing.T) {
	host := hostRoutes{connected: prefixes("10.1.2.0/24"), remote: prefixes("10.8.0.0/16", "192.0.2.0/24")}
	for p, want := range map[string]bool{
		"10.1.2.0/24": true, "10.1.2.128/25": true, "10.0.0.0/8": true, // what a device reaches
		"10.8.0.0/16": true, "10.8.0.0/15": true, "10.8.1.0/24": false, // part of what is behind a gateway
		"10.2.0.0/16": false,
	} {
		assert.Equal(t, want, host.conflicts(netip.MustParsePrefix(p)), p)
	}
}
