package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
)

// acceptForwarding lets packets of our bridges through where iptables drops
// what it does not know, as it does next to Docker, ufw and others: a packet
// passes every table of the kernel, and nobody can accept for another. Our own
// table still drops what it drops. Rules of bridges that went are removed.
//
// Hosts without iptables have no such chain: nothing is done there.
func acceptForwarding(table string, networks map[string]Network) error {
	for _, p := range []struct {
		command string
		family  iptables.Protocol
		v6      bool
	}{{"iptables", iptables.ProtocolIPv4, false}, {"ip6tables", iptables.ProtocolIPv6, true}} {
		if _, err := exec.LookPath(p.command); err != nil {
			continue
		}
		var bridges []string
		for _, n := range networks {
			if slices.ContainsFunc(n.Subnets, hasFamily(p.v6)) {
				bridges = append(bridges, n.Bridge)
			}
		}
		ipt, err := iptables.New(iptables.IPFamily(p.family), iptables.Timeout(10))
		if err == nil {
			err = acceptBridges(ipt, "pouchfx:"+table, bridges)
		}
		if err != nil {
			return fmt.Errorf("cannot let containers through the FORWARD chain of %s: %w", p.command, err)
		}
	}
	return nil
}

const filter, forward = "filter", "FORWARD"

// acceptBridges makes the chain accept what these bridges send and get. The
// comment tells our rules.
func acceptBridges(ipt *iptables.IPTables, comment string, bridges []string) error {
	rules, err := ipt.List(filter, forward)
	if err != nil {
		return nil // the command is there, its part of the kernel is not: nothing drops
	}
	drops := slices.Contains(rules, "-P "+forward+" DROP")
	present := map[string]bool{}
	var errs []error
	for _, r := range rules {
		fields := strings.Fields(strings.ReplaceAll(r, `"`, ""))
		if len(fields) < 4 || !slices.Contains(fields, comment) {
			continue
		}
		flag, bridge := fields[2], fields[3]
		if slices.Contains(bridges, bridge) {
			present[flag+bridge] = true
		} else {
			errs = append(errs, ipt.Delete(filter, forward, acceptRule(flag, bridge, comment)...))
		}
	}
	for _, bridge := range bridges {
		for _, flag := range []string{"-i", "-o"} {
			if drops && !present[flag+bridge] {
				errs = append(errs, ipt.Insert(filter, forward, 1, acceptRule(flag, bridge, comment)...))
			}
		}
	}
	return errors.Join(errs...)
}

func acceptRule(flag, bridge, comment string) []string {
	return []string{flag, bridge, "-m", "comment", "--comment", comment, "-j", "ACCEPT"}
}

func hasFamily(v6 bool) func(netip.Prefix) bool {
	return func(p netip.Prefix) bool { return p.Addr().Is6() == v6 }
}
