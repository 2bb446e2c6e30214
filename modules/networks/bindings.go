package networks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
	"golang.org/x/sys/unix"
)

// binding is a port of the host that is reserved for a port of a container.
type binding struct {
	Port     network.Port
	HostIP   netip.Addr
	HostPort uint16
}

// wish is one binding that a client asks for.
type wish struct {
	port        network.Port
	addrs       []netip.Addr // all get the same port
	first, last uint16       // of the host; both 0 means any
}

// reserve finds ports of the host for all that a sandbox publishes and keeps
// them from others, or none of them. The endpoint is the first that they lead
// to.
func (s *Service) reserve(sb *sandbox, ep *endpoint) error {
	s.mu.RLock()
	e := s.networks[ep.NetworkID]
	s.mu.RUnlock()
	wishes, err := parseWishes(sb.Ports, e.options.hostIP, ep.V6.IsValid())
	if err != nil {
		return err
	}
	bindings := []binding{}
	for _, w := range wishes {
		port, err := s.fulfil(sb, w)
		if err != nil {
			s.releasePorts(sb)
			return err
		}
		for _, addr := range w.addrs {
			bindings = append(bindings, binding{Port: w.port, HostIP: addr, HostPort: port})
		}
	}
	s.mu.Lock()
	sb.Bindings = bindings
	s.mu.Unlock()
	return nil
}

// parseWishes reads the ports that a client asks for. Those that can be met in
// one way come first, so that the others stay out of their way.
func parseWishes(ports network.PortMap, defaultIP netip.Addr, v6 bool) ([]wish, error) {
	var wishes []wish
	for port, bindings := range ports {
		if len(bindings) == 0 {
			bindings = []network.PortBinding{{}}
		}
		for _, b := range bindings {
			w := wish{port: port, addrs: []netip.Addr{b.HostIP.Unmap()}}
			if !b.HostIP.IsValid() {
				w.addrs = []netip.Addr{defaultIP}
				if v6 && defaultIP.IsUnspecified() {
					w.addrs = append(w.addrs, netip.IPv6Unspecified())
				}
			} else if b.HostIP.Unmap().Is6() && !v6 {
				return nil, invalid("port %s cannot be published on %s: the container's network has no IPv6", port, b.HostIP)
			}
			var err error
			if w.first, w.last, err = parsePorts(b.HostPort); err != nil {
				return nil, err
			}
			wishes = append(wishes, w)
		}
	}
	slices.SortFunc(wishes, func(a, b wish) int {
		return cmp.Or(cmp.Compare(a.freedom(), b.freedom()), cmp.Compare(a.port.Num(), b.port.Num()),
			cmp.Compare(a.port.Proto(), b.port.Proto()), cmp.Compare(a.first, b.first), a.addrs[0].Compare(b.addrs[0]))
	})
	return slices.CompactFunc(wishes, func(a, b wish) bool {
		return a.first != 0 && a.port == b.port && a.first == b.first && a.last == b.last && slices.Equal(a.addrs, b.addrs)
	}), nil
}

// freedom is how many ways there are to meet a wish.
func (w wish) freedom() int {
	if w.first == 0 {
		return 1 << 16
	}
	return int(w.last) - int(w.first)
}

// parsePorts reads a port of the host: "8080", a range "8000-8010", or nothing.
func parsePorts(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	if from == "" && !isRange {
		return 0, 0, nil
	}
	a, err := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || b < a || a == 0 && b != 0 {
		return 0, 0, invalid("invalid port specification: %q", text)
	}
	return uint16(a), uint16(b), nil
}

// fulfil reserves one port on all of a wish's addresses.
func (s *Service) fulfil(sb *sandbox, w wish) (uint16, error) {
	if w.first == 0 {
		return s.anyPort(sb, w)
	}
	for port := int(w.first); ; port++ {
		err := s.take(sb, w, uint16(port))
		switch {
		case err == nil:
			return uint16(port), nil
		case w.first == w.last:
			return 0, err
		case port == int(w.last):
			//lint:ignore ST1005 it is Docker's text
			return 0, fmt.Errorf("Bind for %s:%d-%d failed: all ports are allocated", w.addrs[0], w.first, w.last)
		}
	}
}

// anyPort lets the kernel choose.
func (s *Service) anyPort(sb *sandbox, w wish) (uint16, error) {
	var err error
	for range 16 { // the port must be free on the other addresses, too
		var fd int
		var port uint16
		if fd, port, err = bindPort(w.port.Proto(), w.addrs[0], 0); err != nil {
			break
		}
		_ = unix.Close(fd)
		if err = s.take(sb, w, port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port for %s: %w", w.port, err)
}

// take reserves a port on all of a wish's addresses, or on none.
func (s *Service) take(sb *sandbox, w wish, port uint16) error {
	for i, addr := range w.addrs {
		if err := s.takeOne(sb, portKey{w.port.Proto(), addr, port}); err != nil {
			for _, taken := range w.addrs[:i] {
				s.give(sb, portKey{w.port.Proto(), taken, port})
			}
			return err
		}
	}
	return nil
}
