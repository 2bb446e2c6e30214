package nameserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

const (
	hostFile = "/etc/resolv.conf"
	// maxFile bounds what is read of it, in bytes.
	maxFile = 1 << 20
	dnsPort = 53
)

// HostUpstreams reads the name servers, search domains and options of the
// host's /etc/resolv.conf. A host without that file has none.
func HostUpstreams() (servers []netip.AddrPort, search, options []string, err error) {
	f, err := os.Open(hostFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	defer f.Close()
	if servers, search, options, err = parse(io.LimitReader(f, maxFile)); err != nil {
		return nil, nil, nil, fmt.Errorf("read %s: %w", hostFile, err)
	}
	return servers, search, options, nil
}

// parse reads the format of resolv.conf(5): what is no keyword or no address
// is passed over, the last search or domain counts, options add up. (The
// library's parser keeps three options and no zones.)
func parse(r io.Reader) (servers []netip.AddrPort, search, options []string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFile)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || strings.ContainsAny(fields[0][:1], "#;") {
			continue
		}
		switch values := fields[1:]; fields[0] {
		case "nameserver":
			if addr, err := netip.ParseAddr(values[0]); err == nil {
				servers = append(servers, netip.AddrPortFrom(addr, dnsPort))
			}
		case "domain":
			search = values[:1]
		case "search":
			search = values
		case "options":
			options = append(options, values...)
		}
	}
	return servers, search, options, lines.Err()
}
