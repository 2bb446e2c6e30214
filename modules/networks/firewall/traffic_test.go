package firewall

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func sysctl(t testing.TB, name, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile("/proc/sys/"+name, []byte(value), 0))
}

// in runs f in a namespace; nil is the host.
func in(n *netnstest.Namespace, f func() error) error {
	if n == nil {
		return f()
	}
	return n.Do(f)
}

// serve answers on a TCP and a UDP port with the client's address.
func serve(t testing.TB, n *netnstest.Namespace, address string, port uint16) {
	t.Helper()
	require.NoError(t, in(n, func() error {
		at := net.JoinHostPort(address, strconv.Itoa(int(port)))
		tcp, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				c.Write([]byte(c.RemoteAddr().String()))
				c.Close()
			}
		}()
		go func() {
			buffer := make([]byte, 1500)
			for {
				_, from, err := udp.ReadFrom(buffer)
				if err != nil {
					return
				}
				udp.WriteTo([]byte(from.String()), from)
			}
		}()
		return nil
	}))
}

// seen asks what is served at an address, and returns the client's address as
// the server saw it.
func seen(n *netnstest.Namespace, protocol, address string, port uint16, wait time.Duration) (client netip.Addr, err error) {
	err = in(n, func() error {
		c, err := net.DialTimeout(protocol, net.JoinHostPort(address, strconv.Itoa(int(port))), wait)
		if err != nil {
			return err
		}
		defer c.Close()
		client, err = ask(c, wait)
		return err
	})
	return client, err
}

// ask sends a datagram, or just reads.
func ask(c net.Conn, wait time.Duration) (netip.Addr, error) {
	c.SetDeadline(time.Now().Add(wait))
	if c.RemoteAddr().Network() == "udp" {
		if _, err := c.Write([]byte("?")); err != nil {
			return netip.Addr{}, err
		}
	}
	buffer := make([]byte, 100)
	n, err := c.Read(buffer)
	if err != nil {
		return netip.Addr{}, err
	}
	from, err := netip.ParseAddrPort(string(buffer[:n]))
	return from.Addr().Unmap(), err
}

// reaches and isKeptFrom say what a client in a namespace can do.
func reaches(t testing.TB, n *netnstest.Namespace, address string, port uint16, as string) {
	t.Helper()
	for _, protocol := range []string{"tcp", "udp"} {
		client, err := seen(n, protocol, address, port, patient)
		require.NoError(t, err, "%s to %s port %d", protocol, address, port)
		require.Equal(t, as, client.String(), "the client that %s port %d of %s sees", protocol, port, address)
	}
}

func isKeptFrom(t testing.TB, n *netnstest.Namespace, address string, port uint16) {
	t.Helper()
	var both errgroup.Group
	for _, protocol := range []string{"tcp", "udp"} {
		both.Go(func() error {
			client, err := seen(n, protocol, address, port, quick)
			if err == nil || !(isTimeout(err) || isRefused(err)) {
				return fmt.Errorf("%s to %s port %d: answered to %s: %w", protocol, address, port, client, err)
			}
			return nil
		})
	}
	require.NoError(t, both.Wait())
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
