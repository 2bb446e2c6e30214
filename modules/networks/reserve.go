package networks

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/moby/moby/api/types/network"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// portKey is one port of one address of the host, or of all of them.
type portKey struct {
	protocol network.IPProtocol
	addr     netip.Addr
	port     uint16
}

// String is the address as Docker's errors have it.
func (k portKey) String() string { return netip.AddrPortFrom(k.addr, k.port).String() }

// meets reports whether two reservations exclude each other.
func (k portKey) meets(other portKey) bool {
	return k.protocol == other.protocol && k.port == other.port && k.addr.Is6() == other.addr.Is6() &&
		(k.addr == other.addr || k.addr.IsUnspecified() || other.addr.IsUnspecified())
}

// takeOne reserves a port: a socket that is bound to it, and does nothing
// else, keeps it from every other process. The error tells who has it.
func (s *Service) takeOne(sb *sandbox, key portKey) error {
	err := s.bind(sb, key)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("listen %s %s: bind: %w%s", networkName(key), key, err, byProcess(key))
	}
	return err
}

func (s *Service) bind(sb *sandbox, key portKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for taken, container := range s.ports {
		if taken.meets(key) {
			//lint:ignore ST1005 it is Docker's text
			return fmt.Errorf("Bind for %s failed: port is already allocated%s", key, s.byContainer(container))
		}
	}
	fd, _, err := bindPort(key.protocol, key.addr, key.port)
	if errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	if err != nil {
		return fmt.Errorf("listen %s %s: bind: %w", networkName(key), key, err)
	}
	s.ports[key] = sb.Container
	if sb.sockets == nil {
		sb.sockets = map[portKey]int{}
	}
	sb.sockets[key] = fd
	return nil
}

// byContainer names who holds a port. The caller holds the lock.
func (s *Service) byContainer(id string) string {
	if sb := s.sandboxes[id]; sb != nil {
		return ", by container " + sb.Name
	}
	return ""
}

func networkName(key portKey) string {
	if key.addr.Is6() {
		return string(key.protocol) + "6"
	}
	return string(key.protocol) + "4"
}

// give ends the reservation of one port.
func (s *Service) give(sb *sandbox, key portKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fd, ok := sb.sockets[key]; ok {
		_ = unix.Close(fd)
		delete(sb.sockets, key)
		delete(s.ports, key)
	}
}

// releasePorts ends all of a sandbox's reservations.
func (s *Service) releasePorts(sb *sandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, fd := range sb.sockets {
		_ = unix.Close(fd)
		delete(s.ports, key)
	}
	sb.sockets, sb.Bindings = nil, nil
}

// reserveAgain reserves the ports that a container had before the daemon was
// restarted. One that somebody took meanwhile goes on leading to the
// container.
func (s *Service) reserveAgain(sb *sandbox) {
	for _, b := range sb.Bindings {
		if err := s.takeOne(sb, portKey{b.Port.Proto(), b.HostIP, b.HostPort}); err != nil {
			s.log.Warn("cannot reserve a published port again: it goes on leading to the container",
				zap.String("container", sb.Container), zap.Error(err))
		}
	}
}

// bindPort binds a socket to a port, any with 0, and returns which one it is.
func bindPort(protocol network.IPProtocol, addr netip.Addr, port uint16) (fd int, bound uint16, err error) {
	fd, err = openSocket(protocol, addr)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	err = unix.Bind(fd, socketAddress(addr, port))
	if errors.Is(err, unix.EADDRINUSE) && protocol == network.TCP {
		err = bindBesideClosed(fd, socketAddress(addr, port))
	}
	if err != nil {
		return 0, 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		bound = uint16(a.Port)
	case *unix.SockaddrInet6:
		bound = uint16(a.Port)
	}
	return fd, bound, nil
}

// bindBesideClosed binds to a port on which there are still connections that
// were closed a moment ago, as every server does. That nobody else listens
// there is certain only once we did.
func bindBesideClosed(fd int, address unix.Sockaddr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, address); err != nil {
		return err
	}
	if err := unix.Listen(fd, 0); err != nil {
		return err
	}
	if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil { // listens no more, stays bound
		return err
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
}

func openSocket(protocol network.IPProtocol, addr netip.Addr) (int, error) {
	domain, kind, proto := unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP
	if addr.Is6() {
		domain = unix.AF_INET6
	}
	switch protocol {
	case network.UDP:
		kind, proto = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	case network.SCTP:
		proto = unix.IPPROTO_SCTP
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, proto)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return 0, unsupported("this host's kernel has no %s", protocol)
	}
	if err != nil {
		return 0, err
	}
	if addr.Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil && protocol == network.UDP {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // nobody reads
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

func socketAddress(addr netip.Addr, port uint16) unix.Sockaddr {
	if addr.Is6() {
		return &unix.SockaddrInet6{Port: int(port), Addr: addr.As16()}
	}
	return &unix.SockaddrInet4{Port: int(port), Addr: addr.As4()}
}
