package firewall

import (
	"maps"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// define adds the whole table to a transaction: its sets, and chains that do
// not depend on what the sets hold. Only the postrouting chain has rules for
// each network.
//
// What is there stays and gets other content: were it made anew, a packet that
// passes just then could miss the old chain and the new one.
func define(c *nftables.Conn, table *nftables.Table, s sets, networks map[string]Network, content elements) error {
	c.AddTable(table)
	c.FlushTable(table)
	for _, set := range s.all() {
		if err := c.AddSet(set, nil); err != nil {
			return err
		}
		c.FlushSet(set)
	}
	for _, chain := range []struct {
		name     string
		kind     nftables.ChainType
		hook     *nftables.ChainHook
		priority *nftables.ChainPriority
		rules    [][]expr.Any
	}{
		{name: portsChain, rules: portRules(s)},
		{"guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, guardRules(s)},
		{"prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, inboundRules()},
		{"output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, outboundRules()},
		{"forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, forwardRules(s)},
		{postrouting, nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, sourceRules(s, networks)},
	} {
		added := c.AddChain(&nftables.Chain{Table: table, Name: chain.name, Type: chain.kind, Hooknum: chain.hook, Priority: chain.priority})
		addRules(c, added, chain.rules)
	}
	return addElements(c, content)
}

const (
	portsChain  = "ports"
	postrouting = "postrouting"
)

func addRules(c *nftables.Conn, chain *nftables.Chain, rules [][]expr.Any) {
	for _, r := range rules {
		c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: r})
	}
}

// guardRules keep the host's loopback from containers: bridges accept 127/8
// (see allowLoopback), for answers to the host alone. Those are addressed to
// the bridge when they pass here.
func guardRules(s sets) [][]expr.Any {
	return [][]expr.Any{
		rule(interfaceIn(expr.MetaKeyIIFNAME, s.bridges), to(loopback), verdict(expr.VerdictDrop)),
	}
}

// inboundRules lead what comes from outside and from containers to published
// ports. A packet from outside to 127/8 is forged: what is published there is
// for the host (moby issue 41872).
func inboundRules() [][]expr.Any {
	return [][]expr.Any{
		rule(to(loopback), verdict(expr.VerdictReturn)),
		rule(toHost(), jump(portsChain)),
	}
}

// outboundRules lead what the host itself sends to published ports. Packets
// to ::1 would be dropped on the way, and a client would wait; without a rule
// it is refused and goes on to 127.0.0.1.
func outboundRules() [][]expr.Any {
	return [][]expr.Any{
		rule(to(loopback6), verdict(expr.VerdictReturn)),
		rule(toHost(), jump(portsChain)),
	}
}

// portRules look a packet's destination up, first with its address.
func portRules(s sets) [][]expr.Any {
	var rules [][]expr.Any
	for i, v6 := range []bool{false, true} {
		words := uint32(1) // registers of an address
		if v6 {
			words = 4
		}
		rules = append(rules,
			rule(family(v6), match{destination(register32, v6), protocol(register32 + words), port(register32 + words + 1)},
				redirect(s.ports[i], words, v6)),
			rule(family(v6), match{protocol(register32), port(register32 + 1)},
				redirect(s.anyPorts[i], words, v6)))
	}
	return rules
}

// redirect changes the destination to what a map holds, if it holds it.
func redirect(m *nftables.Set, words uint32, v6 bool) match {
	proto := family(v6)[1].(*expr.Cmp).Data[0]
	return match{
		&expr.Lookup{SourceRegister: register32, DestRegister: register32, IsDestRegSet: true, SetName: m.Name, SetID: m.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(proto), RegAddrMin: register32, RegProtoMin: register32 + words},
	}
}

// forwardRules keep networks apart. What they accept other tables may still
// drop; what they drop stays dropped.
func forwardRules(s sets) [][]expr.Any {
	in, out := expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME
	return [][]expr.Any{
		rule(established(), verdict(expr.VerdictAccept)),
		rule(pathIn(s.talking), verdict(expr.VerdictAccept)),
		rule(interfaceIn(in, s.internal), verdict(expr.VerdictDrop)),
		rule(interfaceIn(out, s.internal), verdict(expr.VerdictDrop)),
		rule(interfaceIn(out, s.bridges), published(), verdict(expr.VerdictAccept)),
		rule(interfaceIn(out, s.bridges), verdict(expr.VerdictDrop)),
	}
}

// sourceRules change the source of what must come back to the host first:
// what it sends from 127/8, what a container sends to a port published by a
// container of the same bridge (else that one would answer it directly, from
// the wrong address), and what containers send elsewhere.
func sourceRules(s sets, networks map[string]Network) [][]expr.Any {
	rules := [][]expr.Any{
		rule(interfaceIn(expr.MetaKeyOIFNAME, s.bridges), from(loopback), masquerade()),
	}
	for _, bridge := range slices.Sorted(maps.Keys(networks)) {
		n := networks[bridge]
		for _, subnet := range n.Subnets {
			rules = append(rules, rule(from(subnet), out(expr.CmpOpEq, n.Bridge), published(), masquerade()))
			if n.Masquerade && !n.Internal {
				rules = append(rules, rule(from(subnet), out(expr.CmpOpNeq, n.Bridge), masquerade()))
			}
		}
	}
	return rules
}
