package firewall

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A client that keeps its socket, as a phone or a logger does, must reach
// whatever is published now: moby issues 8795 and 53384.
func TestAClientThatSendsOnReachesTheContainerOfNow(t *testing.T) {
	for name, family := range map[string]struct {
		host    string
		address func(*container) netip.Addr
	}{
		"IPv4": {hostIP, func(c *container) netip.Addr { return c.ip }},
		"IPv6": {hostIP6, func(c *container) netip.Addr { return c.ip6 }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			a := h.network(1)
			first, second := h.container(a), h.container(a)
			table := newTable(t, a)
			serve(t, first.Namespace, "", 80)
			serve(t, second.Namespace, "", 80)
			var client net.Conn
			require.NoError(t, h.outside.Do(func() (err error) {
				client, err = net.Dial("udp", net.JoinHostPort(family.host, "8080"))
				return err
			}))
			defer client.Close()
			_, err := ask(client, quick)
			require.Error(t, err, "nothing is published")
			require.NotEmpty(t, flowsTo(t, family.host, 8080), "but the kernel remembers the flow")

			for _, c := range []*container{first, second, first} {
				ports := both(a, family.address(c), "", 8080)
				require.NoError(t, table.Publish(ports))
				from, err := ask(client, patient)
				require.NoError(t, err)
				require.Contains(t, []string{outsideIP, outsideIP6}, from.String())
				require.NoError(t, table.Unpublish(ports))
				require.Empty(t, flowsTo(t, family.host, 8080))
				_, err = ask(client, quick)
				require.Error(t, err)
			}
		})
	}
}

func TestOtherFlowsAreKept(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	serve(t, h.outside, "", 53)
	serve(t, web.Namespace, "", 80)
	reaches(t, web.Namespace, outsideIP, 53, hostIP)
	before := flowsTo(t, outsideIP, 53)
	require.NotEmpty(t, before)
	ports := both(a, web.ip, "", 53)
	require.NoError(t, table.Publish(ports))
	require.NoError(t, table.Unpublish(ports))
	require.Equal(t, before, flowsTo(t, outsideIP, 53), "what passes through to another's port 53")
}

// flowsTo lists the UDP flows to an address, by where they come from.
func flowsTo(t *testing.T, address string, port uint16) (from []string) {
	t.Helper()
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		all, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		require.NoError(t, err)
		for _, f := range all {
			if f.Forward.Protocol == unix.IPPROTO_UDP && f.Forward.DstPort == port && f.Forward.DstIP.String() == address {
				from = append(from, fmt.Sprint(f.Forward.SrcIP, f.Forward.SrcPort))
			}
		}
	}
	return from
}

// An established connection ends with its container, not with its port.
func TestConnectionsGoOnWhileOtherPortsComeAndGo(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	var listener net.Listener
	require.NoError(t, web.Do(func() (err error) { listener, err = net.Listen("tcp", ":80"); return err }))
	defer listener.Close()
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	var client net.Conn
	require.NoError(t, h.outside.Do(func() (err error) { client, err = net.Dial("tcp", hostIP+":8080"); return err }))
	defer client.Close()
	server, err := listener.Accept()
	require.NoError(t, err)
	defer server.Close()
	echo := func() {
		t.Helper()
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			_, err := pair[0].Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, pair[1].SetReadDeadline(time.Now().Add(patient)))
			_, err = pair[1].Read(make([]byte, 1))
			require.NoError(t, err)
		}
	}
	echo()
	require.NoError(t, table.Publish(both(a, web.ip, "", 8081)))
	require.NoError(t, table.Unpublish(both(a, web.ip, "", 8081)))
	echo()
	require.NoError(t, table.Replace([]Network{a.Network}, both(a, web.ip, "", 8080)))
	echo()
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/px-1/route_localnet", []byte("0"), 0))
	require.NoError(t, table.Publish(both(a, web.ip, "", 8082)), "what someone switched off is switched on")
	serve(t, web.Namespace, "", 81)
	ports := both(a, web.ip, "", 8083)
	ports[0].ContainerPort, ports[1].ContainerPort = 81, 81
	require.NoError(t, table.Publish(ports))
	reaches(t, nil, "127.0.0.1", 8083, "172.30.1.1")
}
