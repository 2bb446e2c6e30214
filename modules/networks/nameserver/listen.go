package nameserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// listen opens the sockets of a server. A process of the container may have
// taken the ports while the daemon was not there: then others serve as well.
func listen(netns string, ports Ports) (net.PacketConn, net.Listener, error) {
	udp, tcp, err := listenExactly(netns, ports)
	if errors.Is(err, unix.EADDRINUSE) {
		return listenExactly(netns, Ports{})
	}
	return udp, tcp, err
}

func listenExactly(netns string, ports Ports) (udp net.PacketConn, tcp net.Listener, err error) {
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(firewall.ResolverAddress, port) }
	err = inside(netns, func() (err error) {
		if udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at(ports.UDP))); err != nil {
			return err
		}
		if tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at(ports.TCP))); err != nil {
			udp.Close()
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("a name server in %s: %w", netns, err)
	}
	return udp, tcp, nil
}

func closeSockets(udp net.PacketConn, tcp net.Listener) {
	udp.Close()
	tcp.Close()
}

// inside calls f on a thread that is in the network namespace at path.
func inside(path string, f func() error) error {
	there, err := os.Open(path)
	if err != nil {
		return err
	}
	defer there.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- func() error {
			runtime.LockOSThread()
			own, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				runtime.UnlockOSThread()
				return err
			}
			defer own.Close()
			if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
				runtime.UnlockOSThread()
				return err
			}
			err = f()
			// Not the thread's end in its place: were it the first of the
			// process, it would stay, and the namespace with it.
			if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
				return errors.Join(err, back)
			}
			runtime.UnlockOSThread()
			return err
		}()
	}()
	return <-ended
}

// patient is a listener that waits when the process has no file descriptors
// left, instead of being asked again at once.
type patient struct{ net.Listener }

func (p patient) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		time.Sleep(100 * time.Millisecond)
	}
	return c, err
}
