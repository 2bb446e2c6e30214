package networks

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIPAMIsCheckedInDockersWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"Config":[{"Subnet":"10.5.0.1/16"}]}`:                                                            "invalid subnet 10.5.0.1/16: it should be 10.5.0.0/16",
		`{"Config":[{"Subnet":"10.5.0.0/31"}]}`:                                                            "invalid subnet 10.5.0.0/31: it has no room",
		`{"Config":[{"Subnet":"0.0.0.0/0"}]}`:                                                              "invalid subnet 0.0.0.0/0: it has no room",
		`{"Config":[{"Subnet":"127.0.0.0/16"}]}`:                                                           "invalid subnet 127.0.0.0/16: its addresses have another meaning",
		`{"Config":[{"Subnet":"224.0.0.0/16"}]}`:                                                           "invalid subnet 224.0.0.0/16: its addresses have another meaning",
		`{"Config":[{"Subnet":"fd01::/64"}]}`:                                                              "invalid subnet fd01::/64: IPv6 is not enabled on the network",
		`{"Config":[{"Gateway":"10.5.0.1"}]}`:                                                              "a gateway, an ip-range or an aux-address needs a subnet",
		`{"Config":[{"Subnet":"10.5.0.0/16","Gateway":"10.6.0.1"}]}`:                                       "invalid gateway 10.6.0.1: parent subnet 10.5.0.0/16 doesn't contain this address",
		`{"Config":[{"Subnet":"10.5.0.0/16","Gateway":"fd00::1"}]}`:                                        "invalid gateway fd00::1: parent subnet is an IPv4 block",
		`{"Config":[{"Subnet":"10.5.0.0/16","Gateway":"10.5.0.0"}]}`:                                       "invalid gateway 10.5.0.0: it is the network's own address",
		`{"Config":[{"Subnet":"10.5.0.0/16","Gateway":"10.5.255.255"}]}`:                                   "invalid gateway 10.5.255.255: it is the broadcast address",
		`{"Config":[{"Subnet":"10.5.0.0/16","IPRange":"10.6.0.0/24"}]}`:                                    "invalid ip-range 10.6.0.0/24: parent subnet 10.5.0.0/16 doesn't contain ip-range",
		`{"Config":[{"Subnet":"10.5.0.0/16","IPRange":"10.0.0.0/8"}]}`:                                     "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.5.0.0/16",
		`{"Config":[{"Subnet":"10.5.0.0/16","IPRange":"10.5.1.1/24"}]}`:                                    "invalid ip-range 10.5.1.1/24: it should be 10.5.1.0/24",
		`{"Config":[{"Subnet":"10.5.0.0/16","AuxiliaryAddresses":{"a":"10.6.0.1"}}]}`:                      "invalid auxiliary address 10.6.0.1 (a): parent subnet 10.5.0.0/16 doesn't contain this address",
		`{"Config":[{"Subnet":"10.5.0.0/16","Gateway":"10.5.0.9","AuxiliaryAddresses":{"a":"10.5.0.9"}}]}`: "invalid auxiliary address 10.5.0.9 (a): it is the gateway's",
		`{"Config":[{"Subnet":"10.5.0.0/16"},{"Subnet":"10.6.0.0/16"}]}`:                                   "bridge driver doesn't support multiple subnets",
	} {
		_, err := parseIPAM(ipamOf(t, text), false)
		require.ErrorContains(t, err, "invalid network config:\n", text)
		assert.ErrorContains(t, err, want)
		assert.True(t, errdefs.IsInvalidArgument(err))
	}
	_, err := parseIPAM(ipamOf(t, `{"Driver":"dhcp"}`), false)
	assert.True(t, errdefs.IsNotImplemented(err))
}

func ipamOf(t *testing.T, text string) *network.IPAM {
	t.Helper()
	var ipam network.IPAM
	require.NoError(t, json.Unmarshal([]byte(text), &ipam))
	return &ipam
}

func TestTheGatewayIsTheFirstAddressWithoutAnotherUse(t *testing.T) {
	subnets, err := parseIPAM(ipamOf(t, `{"Config":[{"Subnet":"10.5.0.0/16","AuxiliaryAddresses":{"a":"10.5.0.1","b":"10.5.0.2"}},{"Subnet":"fd01::/64"}]}`), true)
	require.NoError(t, err)
	assert.Equal(t, "10.5.0.3", subnets[0].Gateway.String())
	assert.Equal(t, "fd01::1", subnets[1].Gateway.String())
}

func TestRangeOfAddresses(t *testing.T) {
	for _, tc := range []struct{ subnet, ipRange, start, end string }{
		{"10.5.0.0/16", "10.5.1.0/24", "10.5.1.0", "10.5.1.255"},
		{"10.5.0.0/16", "10.5.0.0/24", "10.5.0.1", "10.5.0.255"},
		{"10.5.0.0/16", "10.5.255.0/24", "10.5.255.0", "10.5.255.254"},
		{"10.5.0.0/16", "10.5.7.7/32", "10.5.7.7", "10.5.7.7"},
		{"10.5.0.0/16", "10.5.0.0/16", "10.5.0.1", "10.5.255.254"},
		{"fd01::/64", "fd01::100/120", "fd01::100", "fd01::1ff"},
	} {
		s := subnet{Prefix: netip.MustParsePrefix(tc.subnet), Range: netip.MustParsePrefix(tc.ipRange)}
		r := s.ipamRange(false)
		assert.Equal(t, [2]string{tc.start, tc.end}, [2]string{r.Start.String(), r.End.String()}, tc.ipRange)
		assert.False(t, s.ipamRange(true).Start.IsValid(), "whoever chooses an address has all of the subnet")
	}
}
