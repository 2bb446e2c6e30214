package firewall

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

// held counts what the kernel's table holds, by set.
func held(t testing.TB, table *Table) map[string]int {
	t.Helper()
	c, err := nftables.New()
	require.NoError(t, err)
	sets, err := c.GetSets(table.table)
	require.NoError(t, err)
	count := map[string]int{}
	for _, s := range sets {
		elements, err := c.GetSetElements(s)
		require.NoError(t, err)
		if len(elements) > 0 {
			count[s.Name] = len(elements)
		}
	}
	return count
}

func tables(t testing.TB) (names []string) {
	t.Helper()
	c, err := nftables.New()
	require.NoError(t, err)
	all, err := c.ListTables()
	require.NoError(t, err)
	for _, table := range all {
		names = append(names, table.Name)
	}
	return names
}

// After kill -9 the table is there, and the next daemon knows what it should
// hold.
func TestReplaceTakesOverWhatTheLastDaemonLeft(t *testing.T) {
	h := newHost(t)
	a, gone := h.network(1), h.network(2)
	web := h.container(a)
	serve(t, web.Namespace, "", 80)
	last := newTable(t, a, gone)
	require.NoError(t, last.Publish(both(a, web.ip, "", 8080)))
	require.NoError(t, last.Publish(both(a, web.ip, "", 8081)))

	table := New("pouchfx-test")
	require.NoError(t, table.Replace([]Network{a.Network}, both(a, web.ip, "", 8080)))
	require.Equal(t, map[string]int{"bridges": 1, "talking": 1, "anyports4": 2}, held(t, table))
	reaches(t, h.outside, hostIP, 8080, outsideIP)
	isKeptFrom(t, h.outside, hostIP, 8081)
	require.NoError(t, table.Unpublish(both(a, web.ip, "", 8080)))
	isKeptFrom(t, h.outside, hostIP, 8080)

	require.NoError(t, table.Delete())
	require.NoError(t, table.Delete(), "again")
	require.Empty(t, tables(t))
}

func TestReplaceWithBadInputLeavesTheTable(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	twice := both(a, web.ip, "", 8080)
	twice[1] = twice[0]
	twice[1].ContainerPort = 81
	require.ErrorIs(t, table.Replace(nil, twice), errdefs.ErrConflict)
	require.ErrorIs(t, table.Replace([]Network{{Bridge: ".."}}, nil), errdefs.ErrInvalidArgument)
	require.Equal(t, map[string]int{"bridges": 1, "talking": 1, "anyports4": 2}, held(t, table))
}

func TestATableOfAnotherVersionIsReplaced(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	serve(t, web.Namespace, "", 80)
	c, err := nftables.New()
	require.NoError(t, err)
	old := c.AddTable(&nftables.Table{Name: "pouchfx-test", Family: nftables.TableFamilyINet})
	require.NoError(t, c.AddSet(&nftables.Set{Table: old, ID: 1, Name: "bridges", KeyType: nftables.TypeInetService}, nil))
	drop := nftables.ChainPolicyDrop
	c.AddChain(&nftables.Chain{Table: old, Name: "forward", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityMangle, Policy: &drop})
	require.NoError(t, c.Flush())
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	reaches(t, h.outside, hostIP, 8080, outsideIP)
}

func TestReplaceIsNotNoticedByClients(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	serve(t, web.Namespace, "", 80)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	end := make(chan struct{})
	var clients errgroup.Group
	for range 4 {
		clients.Go(func() error {
			for {
				select {
				case <-end:
					return nil
				default:
				}
				if _, err := seen(h.outside, "tcp", hostIP, 8080, time.Second); err != nil {
					return err
				}
			}
		})
	}
	for range 300 {
		require.NoError(t, table.Replace([]Network{a.Network}, both(a, web.ip, "", 8080)))
	}
	close(end)
	require.NoError(t, clients.Wait())
}

// "nft flush ruleset", which Debian's nftables.service does when it restarts
// (netavark issue 230, moby issue 48657).
func TestWhatWasFlushedIsMadeAgain(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web := h.container(a)
	serve(t, web.Namespace, "", 80)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	flush := func() {
		t.Helper()
		c, err := nftables.New()
		require.NoError(t, err)
		c.FlushRuleset()
		require.NoError(t, c.Flush())
		isKeptFrom(t, h.outside, hostIP, 8080)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"publish", func() error { return table.Publish(both(a, web.ip, "", 8081)) }},
		{"unpublish", func() error { return table.Unpublish(both(a, web.ip, "", 8081)) }},
		{"add a network", func() error { return table.AddNetwork(b.Network) }},
		{"remove a network", func() error { return table.RemoveNetwork(b.Bridge) }},
	} {
		flush()
		require.NoError(t, step.do(), step.name)
		reaches(t, h.outside, hostIP, 8080, outsideIP)
	}
	require.Equal(t, map[string]int{"bridges": 1, "talking": 1, "anyports4": 2}, held(t, table))
	flush()
	require.NoError(t, table.Delete())
}

func TestWhatWasFlushedIsMadeAgainAtOnce(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	ctx, cancel := context.WithCancel(t.Context())
	restored, ended := make(chan error, 10), make(chan error)
	go func() { ended <- table.Keep(ctx, func(err error) { restored <- err }) }()
	want := held(t, table)
	// The watch begins at some time: others' changes and our own do not count.
	require.Eventually(t, func() bool {
		c, err := nftables.New()
		require.NoError(t, err)
		c.FlushRuleset()
		require.NoError(t, c.Flush())
		select {
		case err := <-restored:
			require.NoError(t, err)
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}, patient, time.Millisecond)
	require.Equal(t, want, held(t, table))
	require.NoError(t, table.Replace([]Network{a.Network}, nil))
	require.NoError(t, table.Publish(both(a, web.ip, "", 8081)))
	require.NoError(t, table.Delete())
	cancel()
	require.NoError(t, <-ended)
	require.Empty(t, restored)
	require.Empty(t, tables(t))
}

func TestTablesOfTwoDaemonsDoNotMeet(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web, other := h.container(a), h.container(b)
	serve(t, web.Namespace, "", 80)
	serve(t, other.Namespace, "", 80)
	first := newTable(t, a)
	second := New("pouchfx-other")
	require.NoError(t, second.Replace([]Network{b.Network}, both(b, other.ip, "", 8081)))
	require.NoError(t, first.Publish(both(a, web.ip, "", 8080)))
	reaches(t, h.outside, hostIP, 8080, outsideIP)
	reaches(t, h.outside, hostIP, 8081, outsideIP)
	reaches(t, web.Namespace, hostIP, 8081, "172.30.2.1")
	isKeptFrom(t, web.Namespace, other.ip.String(), 80)
	require.NoError(t, second.Delete())
	reaches(t, h.outside, hostIP, 8080, outsideIP)
}

func TestManyPublishAtOnce(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	table := newTable(t, a)
	var all errgroup.Group
	for worker := range 8 {
		all.Go(func() error {
			for i := range 30 {
				var mine []Port
				for n := range 1 + rand.IntN(5) {
					mine = append(mine, Port{Protocol: "tcp", HostPort: uint16(1000*(worker+1) + n), ContainerPort: 80,
						Container: netip.AddrFrom4([4]byte{172, 30, 1, byte(10 + worker)}), Bridge: a.Bridge})
				}
				if err := table.Publish(mine); err != nil {
					return err
				}
				if i%10 == 0 {
					if err := table.AddNetwork(Network{Bridge: fmt.Sprintf("px-w%d", worker), ICC: true}); err != nil {
						return err
					}
				}
				if i < 29 {
					if err := table.Unpublish(mine); err != nil {
						return err
					}
				} else if err := table.Unpublish(mine[1:]); err != nil {
					return err
				}
			}
			return table.RemoveNetwork(fmt.Sprintf("px-w%d", worker))
		})
	}
	require.NoError(t, all.Wait())
	require.Equal(t, map[string]int{"bridges": 1, "talking": 1, "anyports4": 8}, held(t, table))
	require.Len(t, table.ports, 8)
}

func TestEveryPortOfAHostFitsOneTransaction(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	table := newTable(t, a)
	all := ports(a, 1, 65535)
	require.NoError(t, table.Replace([]Network{a.Network}, all))
	require.Equal(t, len(all), held(t, table)["anyports6"])
	require.NoError(t, table.Unpublish(all))
	require.NoError(t, table.Publish(all))
	require.Equal(t, len(all), held(t, table)["anyports6"])
}

// ports are n TCP ports of IPv6, the larger of the two, from first on.
func ports(w *network, first, n int) []Port {
	all := make([]Port, n)
	for i := range all {
		all[i] = Port{Protocol: "tcp", HostPort: uint16(first + i), Container: netip.MustParseAddr("fd00:1::2"), ContainerPort: 80, Bridge: w.Bridge}
	}
	return all
}

func BenchmarkRedirectDNS(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		n := netnstest.New(b)
		b.StartTimer()
		if err := RedirectDNS(n.Path(), 1, 2); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, there := range []int{1, 1000, 10000} {
		for _, protocol := range []string{"tcp", "udp"} {
			b.Run(fmt.Sprintf("%s/%d ports", protocol, there), func(b *testing.B) {
				h := newHost(b)
				a := h.network(1)
				table := newTable(b, a)
				require.NoError(b, table.Publish(ports(a, 1, there)))
				one := ports(a, 60000, 1)
				one[0].Protocol = protocol
				for b.Loop() {
					if table.Publish(one) != nil || table.Unpublish(one) != nil {
						b.Fatal("not published")
					}
				}
			})
		}
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for err, text := range map[error]string{
		unix.EPERM:           "CAP_NET_ADMIN",
		unix.EPROTONOSUPPORT: "modprobe",
		unix.EOPNOTSUPP:      "CONFIG_NF_TABLES_INET",
		unix.ENOENT:          "host and none",
	} {
		got := explain(fmt.Errorf("conn.Receive: %w", err))
		require.True(t, errdefs.IsUnavailable(got), "%v", got)
		require.ErrorContains(t, got, text)
		require.ErrorIs(t, got, err)
		require.False(t, strings.Contains(got.Error(), "\n"), "%q", got)
	}
	require.False(t, errdefs.IsUnavailable(explain(unix.ENOMEM)))
	require.NoError(t, explain(nil))
}

// A daemon that lacks the capability is told so by the kernel.
func TestWithoutTheCapabilityItIsUnavailable(t *testing.T) {
	newHost(t)
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread() // and ends with the goroutine: it lacks a capability
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		err := New("pouchfx-test").Replace(nil, nil)
		if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("got %v", err)
		}
	})
	wait.Wait()
}

func TestARedirectOfNameQueriesIsReplaced(t *testing.T) {
	h := newHost(t)
	c := h.container(h.network(1))
	serve(t, c.Namespace, "127.0.0.11", 5301)
	serve(t, c.Namespace, "127.0.0.11", 5302)
	for _, ports := range [][2]uint16{{5301, 5301}, {5302, 5301}, {5301, 5302}} {
		require.NoError(t, RedirectDNS(c.Path(), ports[0], ports[1]))
		reaches(t, c.Namespace, "127.0.0.11", 53, "127.0.0.1")
	}
	_, err := seen(c.Namespace, "tcp", "127.0.0.1", 53, quick)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "other addresses are the container's")
	require.Error(t, RedirectDNS("/nowhere", 1, 1))
	require.NotContains(t, tables(t), "pouchfx-dns", "the host has no redirect")
}
