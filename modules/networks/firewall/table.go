package firewall

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Table is the daemon's nftables table. It is safe for concurrent use.
type Table struct {
	table *nftables.Table
	sets  sets
	mu    sync.Mutex
	conn  *nftables.Conn // nil until it is needed
	made  bool
	// networks (by bridge) and ports are what the table holds.
	networks map[string]Network
	ports    map[address]Port
}

// New returns the table of that name; nothing is done before Replace.
func New(table string) *Table {
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyINet}
	return &Table{table: t, sets: newSets(t), networks: map[string]Network{}, ports: map[address]Port{}}
}

// Replace makes the table anew, in one transaction, whatever it held before.
// errdefs.ErrUnavailable says that the kernel cannot, and what would help.
func (t *Table) Replace(networks []Network, ports []Port) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	byBridge := make(map[string]Network, len(networks))
	for _, n := range networks {
		if err := n.check(); err != nil {
			return err
		}
		byBridge[n.Bridge] = n
	}
	byAddress, err := opened(nil, ports)
	if err != nil {
		return err
	}
	if err := t.rebuild(byBridge, byAddress); err != nil {
		return err
	}
	for _, n := range networks {
		// A bridge that is not there yet gets its setting with its first port.
		if err := allowLoopback(n.Bridge); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// rebuild makes the table hold these networks and ports and nothing else.
func (t *Table) rebuild(networks map[string]Network, ports map[address]Port) error {
	e := t.portElements(ports)
	for _, n := range networks {
		e.network(t.sets, n)
	}
	err := t.commit(func(c *nftables.Conn) error { return define(c, t.table, t.sets, networks, e) })
	if err != nil { // a table of another version may be in the way
		err = t.commit(func(c *nftables.Conn) error {
			deleteTable(c, t.table)
			return define(c, t.table, t.sets, networks, e)
		})
	}
	if err != nil {
		return explain(err)
	}
	t.made, t.networks, t.ports = true, networks, ports
	return acceptForwarding(t.table.Name, networks)
}

// AddNetwork lets a network in, or changes it.
func (t *Table) AddNetwork(n Network) error {
	if err := n.check(); err != nil {
		return err
	}
	if err := allowLoopback(n.Bridge); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return t.setNetworks(func(networks map[string]Network) { networks[n.Bridge] = n })
}

// RemoveNetwork forgets a network; one that is not there is no error.
func (t *Table) RemoveNetwork(bridge string) error {
	return t.setNetworks(func(networks map[string]Network) { delete(networks, bridge) })
}

// setNetworks changes the networks. There are few of them and they change
// seldom: their sets and rules are written anew.
func (t *Table) setNetworks(change func(map[string]Network)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	networks := maps.Clone(t.networks)
	change(networks)
	e := elements{}
	for _, n := range networks {
		e.network(t.sets, n)
	}
	err := t.commit(func(c *nftables.Conn) error {
		for _, set := range []*nftables.Set{t.sets.bridges, t.sets.internal, t.sets.talking} {
			c.FlushSet(set)
		}
		chain := &nftables.Chain{Table: t.table, Name: postrouting}
		c.FlushChain(chain)
		addRules(c, chain, sourceRules(t.sets, networks))
		return addElements(c, e)
	})
	if errors.Is(err, unix.ENOENT) { // someone flushed the host's rules
		return t.rebuild(networks, t.ports)
	}
	if err != nil {
		return fmt.Errorf("cannot change the networks in nftables: %w", err)
	}
	t.networks = networks
	return acceptForwarding(t.table.Name, networks)
}

// Delete removes the table; one that is not there is no error.
func (t *Table) Delete() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.disconnect()
	if err := t.commit(func(c *nftables.Conn) error { deleteTable(c, t.table); return nil }); err != nil {
		return explain(err)
	}
	t.made, t.networks, t.ports = false, map[string]Network{}, map[address]Port{}
	return acceptForwarding(t.table.Name, nil)
}

// Close lets go of the connection to the kernel. The table stays as it is; a
// later call of another method connects anew.
func (t *Table) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disconnect()
}
