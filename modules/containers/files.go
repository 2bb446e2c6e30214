package containers

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/types"
)

// parseExtraHost reads an entry of --add-host: name:address or name=address.
func parseExtraHost(text string) (name string, address netip.Addr, err error) {
	name, ip, ok := strings.Cut(text, "=")
	if !ok {
		name, ip, ok = strings.Cut(text, ":")
	}
	if !ok || name == "" || strings.ContainsAny(name, " \t\n") {
		return "", netip.Addr{}, invalid("bad format for add-host: %q", text)
	}
	if ip == "host-gateway" {
		return "", netip.Addr{}, unsupported("add-host %q: host-gateway needs a bridge network, which this daemon does not have yet", text)
	}
	address, err = netip.ParseAddr(strings.Trim(ip, "[]"))
	if err != nil {
		return "", netip.Addr{}, invalid("invalid IP address in add-host: %q", ip)
	}
	return name, address, nil
}

// networkFiles are made anew at each start and bound into the container,
// unless it has mounts of its own there.
var networkFiles = []string{"hostname", "hosts", "resolv.conf"}

// writeFiles makes /etc/hostname, /etc/hosts and /etc/resolv.conf and returns
// their mounts. A container that joins another's network shares its files.
func (s *Service) writeFiles(c *ctr, start *types.Container) ([]specs.Mount, error) {
	dir := s.dir(c.id)
	contents := map[string][]byte{
		"hostname":    []byte(start.Config.Hostname + "\n"),
		"hosts":       hosts(start),
		"resolv.conf": resolvConf(start.HostConfig),
	}
	if mode := start.HostConfig.NetworkMode; mode.IsContainer() {
		other, err := s.index.get(mode.ConnectedContainer())
		if err != nil {
			return nil, err
		}
		dir, contents = s.dir(other.id), nil
	}
	var mounts []specs.Mount
	for _, name := range networkFiles {
		path := filepath.Join(dir, name)
		if content, ok := contents[name]; ok {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				return nil, err
			}
		}
		options := []string{"rbind", "rprivate"}
		if start.HostConfig.ReadonlyRootfs {
			options = append(options, "ro")
		}
		mounts = append(mounts, specs.Mount{Destination: "/etc/" + name, Type: "bind", Source: path, Options: options})
	}
	return mounts, nil
}

func hosts(start *types.Container) []byte {
	if start.HostConfig.NetworkMode.IsHost() {
		text, _ := os.ReadFile("/etc/hosts") // a host may have none
		return appendHosts(text, start.HostConfig)
	}
	var b bytes.Buffer
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	if name := start.Config.Hostname; name != "" {
		if domain := start.Config.Domainname; domain != "" {
			name += "." + domain + " " + name
		}
		fmt.Fprintf(&b, "127.0.1.1\t%s\n", name)
	}
	return appendHosts(b.Bytes(), start.HostConfig)
}

func appendHosts(text []byte, h *types.HostConfig) []byte {
	for _, extra := range h.ExtraHosts {
		if name, address, err := parseExtraHost(extra); err == nil { // checked at create
			text = fmt.Appendf(text, "%s\t%s\n", address, name)
		}
	}
	return text
}

// resolvConf is the host's, but for what the container asks for.
func resolvConf(h *types.HostConfig) []byte {
	own, _ := os.ReadFile("/etc/resolv.conf") // a host may have none
	replaced := map[string]bool{"nameserver": len(h.DNS) > 0, "search": len(h.DNSSearch) > 0, "options": len(h.DNSOptions) > 0}
	var b bytes.Buffer
	for line := range strings.Lines(string(own)) {
		if words := strings.Fields(line); len(words) > 0 && !replaced[words[0]] && words[0][0] != '#' {
			b.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	for _, server := range h.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(h.DNSSearch) > 0 && h.DNSSearch[0] != "." {
		fmt.Fprintf(&b, "search %s\n", strings.Join(h.DNSSearch, " "))
	}
	if len(h.DNSOptions) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(h.DNSOptions, " "))
	}
	return b.Bytes()
}
