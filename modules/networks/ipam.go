package networks

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/moby/moby/api/types/network"
)

// parseIPAM checks what a client asks of a network's addresses, with dockerd's
// words, and returns its subnets: those that it named.
func parseIPAM(ipam *network.IPAM, v6 bool) ([]subnet, error) {
	if ipam == nil {
		return nil, nil
	}
	if ipam.Driver != "" && ipam.Driver != "default" {
		return nil, unsupported("the IPAM driver %q is not supported: this daemon has the driver \"default\"", ipam.Driver)
	}
	var problems []string
	var subnets []subnet
	for i := range ipam.Config {
		c := &ipam.Config[i]
		if !c.Subnet.IsValid() {
			if c.Gateway.IsValid() || c.IPRange.IsValid() || len(c.AuxAddress) > 0 {
				problems = append(problems, "a gateway, an ip-range or an aux-address needs a subnet")
			}
			continue
		}
		if c.Subnet.Addr().Is6() && !v6 {
			problems = append(problems, fmt.Sprintf("invalid subnet %s: IPv6 is not enabled on the network", c.Subnet))
			continue
		}
		if found := subnetProblems(c); len(found) > 0 {
			problems = append(problems, found...)
			continue
		}
		s := subnet{Prefix: c.Subnet, Gateway: c.Gateway, Range: c.IPRange, Aux: c.AuxAddress}
		if !s.Gateway.IsValid() {
			s.Gateway = firstFree(&s)
		}
		subnets = append(subnets, s)
	}
	for i, s := range subnets {
		for _, other := range subnets[:i] {
			if s.Prefix.Addr().Is6() == other.Prefix.Addr().Is6() {
				problems = append(problems, "bridge driver doesn't support multiple subnets")
			}
		}
	}
	if len(problems) > 0 {
		return nil, invalid("invalid network config:\n%s", strings.Join(problems, "\n"))
	}
	return subnets, nil
}

// firstFree is the first address of a subnet that has no other use.
func firstFree(s *subnet) netip.Addr {
	addr := s.Prefix.Addr().Next()
	for s.auxiliary(addr) {
		addr = addr.Next()
	}
	return addr
}

func (s *subnet) auxiliary(addr netip.Addr) bool {
	for _, aux := range s.Aux {
		if aux == addr {
			return true
		}
	}
	return false
}

func subnetProblems(c *network.IPAMConfig) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case c.Subnet.Addr().Is4In6():
		add("invalid subnet %s: write it as an IPv4 block", c.Subnet)
	case c.Subnet != c.Subnet.Masked():
		add("invalid subnet %s: it should be %s", c.Subnet, c.Subnet.Masked())
	case c.Subnet.Bits() > c.Subnet.Addr().BitLen()-2 || c.Subnet.Bits() == 0:
		add("invalid subnet %s: it has no room for a gateway and a container, or is everything", c.Subnet)
	case c.Subnet.Addr().IsLoopback() || c.Subnet.Addr().IsMulticast() || c.Subnet.Addr().IsUnspecified():
		add("invalid subnet %s: its addresses have another meaning", c.Subnet)
	}
	if r := c.IPRange; r.IsValid() {
		switch {
		case r.Addr().Is6() != c.Subnet.Addr().Is6():
			add("invalid ip-range %s: parent subnet is an %s block", r, family(c.Subnet.Addr()))
		case r.Bits() < c.Subnet.Bits():
			add("invalid ip-range %s: CIDR block is bigger than its parent subnet %s", r, c.Subnet)
		case r != r.Masked():
			add("invalid ip-range %s: it should be %s", r, r.Masked())
		case !c.Subnet.Contains(r.Addr()):
			add("invalid ip-range %s: parent subnet %s doesn't contain ip-range", r, c.Subnet)
		}
	}
	if c.Gateway.IsValid() {
		if problem := addressProblem(c.Gateway, c.Subnet); problem != "" {
			add("invalid gateway %s: %s", c.Gateway, problem)
		}
	}
	for name, aux := range c.AuxAddress {
		if problem := addressProblem(aux, c.Subnet); problem != "" {
			add("invalid auxiliary address %s (%s): %s", aux, name, problem)
		} else if aux == c.Gateway {
			add("invalid auxiliary address %s (%s): it is the gateway's", aux, name)
		}
	}
	return problems
}

// addressProblem says why an address cannot be one of a subnet's hosts.
func addressProblem(addr netip.Addr, parent netip.Prefix) string {
	switch {
	case addr.Is6() != parent.Addr().Is6():
		return fmt.Sprintf("parent subnet is an %s block", family(parent.Addr()))
	case !parent.Contains(addr):
		return fmt.Sprintf("parent subnet %s doesn't contain this address", parent)
	case addr == parent.Addr():
		return "it is the network's own address"
	case addr.Is4() && addr == lastAddr(parent):
		return "it is the broadcast address"
	}
	return ""
}

func family(addr netip.Addr) string {
	if addr.Is6() {
		return "IPv6"
	}
	return "IPv4"
}
