package containers

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/types"
)

// hostGateway stands for the host's address, as the container sees it.
const hostGateway = "host-gateway"

// parseExtraHost reads an entry of --add-host: name:address or name=address.
// The address is the zero one for host-gateway.
func parseExtraHost(text string) (name string, address netip.Addr, err error) {
	name, ip, ok := strings.Cut(text, "=")
	if !ok {
		name, ip, ok = strings.Cut(text, ":")
	}
	if !ok || name == "" || strings.ContainsAny(name, " \t\n") {
		return "", netip.Addr{}, invalid("bad format for add-host: %q", text)
	}
	if ip == hostGateway {
		return name, netip.Addr{}, nil
	}
	address, err = netip.ParseAddr(strings.Trim(ip, "[]"))
	if err != nil {
		return "", netip.Addr{}, invalid("invalid IP address in add-host: %q", ip)
	}
	return name, address, nil
}

const localHosts = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::	ip6-localnet
ff00::	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

// hosts is a container's /etc/hosts: with its own name for each of its
// addresses, or on loopback where it has none.
func hosts(config *types.ContainerConfig, h *types.HostConfig, names networks.Names) []byte {
	var b bytes.Buffer
	gateway := names.Gateway
	if h.NetworkMode.IsHost() {
		text, _ := os.ReadFile("/etc/hosts") // a host may have none
		b.Write(text)
		gateway = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	} else {
		b.WriteString(localHosts)
	}
	for _, extra := range h.ExtraHosts {
		name, address, err := parseExtraHost(extra)
		if !address.IsValid() {
			address = gateway
		}
		if err == nil && address.IsValid() { // checked at create; who has no network has no gateway
			fmt.Fprintf(&b, "%s\t%s\n", address, name)
		}
	}
	if name := config.Hostname; name != "" && !h.NetworkMode.IsHost() {
		if domain := config.Domainname; domain != "" {
			name += "." + domain + " " + name
		}
		if len(names.Addresses) == 0 {
			fmt.Fprintf(&b, "127.0.1.1\t%s\n", name)
		}
		for _, address := range names.Addresses {
			fmt.Fprintf(&b, "%s\t%s\n", address, name)
		}
	}
	return b.Bytes()
}
