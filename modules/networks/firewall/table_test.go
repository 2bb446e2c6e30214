package firewall

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
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
	require.NotContains(t, tables(t), "pouchfx-test")
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
