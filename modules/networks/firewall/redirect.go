package firewall

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ResolverAddress is the name server of containers, as Docker's is.
var ResolverAddress = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// RedirectDNS sends what processes in the network namespace at path netns ask
// of 127.0.0.11:53 to these ports of 127.0.0.11 instead; answers come from
// port 53. Port 53 itself stays free for the container. A redirect that was
// there before is replaced. errdefs.ErrUnavailable says that the kernel cannot.
func RedirectDNS(netns string, udp, tcp uint16) error {
	f, err := os.Open(netns)
	if err != nil {
		return fmt.Errorf("cannot redirect name queries: %w", err)
	}
	defer f.Close()
	c, err := connect(nftables.WithNetNSFd(int(f.Fd())))
	if err != nil {
		return explain(err)
	}
	defer c.CloseLasting()
	// Not replaced but filled anew: see commit about what is deleted.
	table := c.AddTable(&nftables.Table{Name: "pouchfx-dns", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{Table: table, Name: "output", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	c.FlushChain(chain)
	addRules(c, chain, [][]expr.Any{dnsRule(unix.IPPROTO_UDP, udp), dnsRule(unix.IPPROTO_TCP, tcp)})
	return explain(c.Flush())
}

func dnsRule(proto byte, server uint16) []expr.Any {
	address := ResolverAddress.AsSlice()
	return match{
		destination(register1, false), equals(address),
		protocol(register1), equals([]byte{proto}),
		port(register1), equals([]byte{0, 53}),
		&expr.Immediate{Register: register1, Data: address},
		&expr.Immediate{Register: register2, Data: []byte{byte(server >> 8), byte(server)}},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register1, RegProtoMin: register2},
	}
}
