package containers

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/types"
)

// resolvConf is the /etc/resolv.conf of a container on networks.
func resolvConf(names networks.Names) []byte {
	var b bytes.Buffer
	for _, server := range names.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(names.Search) > 0 && names.Search[0] != "." {
		fmt.Fprintf(&b, "search %s\n", strings.Join(names.Search, " "))
	}
	if len(names.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(names.Options, " "))
	}
	return b.Bytes()
}

// hostResolvConf is that of one without: the host's, but for what the container
// asks for.
func hostResolvConf(h *types.HostConfig) []byte {
	own, _ := os.ReadFile("/etc/resolv.conf") // a host may have none
	replaced := map[string]bool{"nameserver": len(h.DNS) > 0, "search": len(h.DNSSearch) > 0, "options": len(h.DNSOptions) > 0}
	var b bytes.Buffer
	for line := range strings.Lines(string(own)) {
		if words := strings.Fields(line); len(words) > 0 && !replaced[words[0]] && words[0][0] != '#' {
			b.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	b.Write(resolvConf(networks.Names{Servers: h.DNS, Search: h.DNSSearch, Options: h.DNSOptions}))
	return b.Bytes()
}
