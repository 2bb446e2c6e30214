package firewall

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Table is the daemon's nftables table. It is safe for concurrent use.
type Table struct {
	table *nftables.Table
	sets  sets
	mu    sync.Mutex
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
	byAddress := make(map[address]Port, len(ports))
	if _, err := open(byAddress, ports); err != nil {
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
	e := elements{}
	for _, n := range networks {
		e.network(t.sets, n)
	}
	for a, p := range ports {
		e.port(t.sets, a, p)
	}
	err := commit(func(c *nftables.Conn) error {
		replaceTable(c, t.table)
		c.AddTable(t.table)
		if err := define(c, t.table, t.sets, networks); err != nil {
			return err
		}
		return addElements(c, e)
	})
	if err != nil {
		return explain(err)
	}
	t.networks, t.ports = networks, ports
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
	err := commit(func(c *nftables.Conn) error {
		for _, set := range t.networkSets() {
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

func (t *Table) networkSets() []*nftables.Set {
	return []*nftables.Set{t.sets.bridges, t.sets.internal, t.sets.talking}
}

// Publish opens ports: all of them or none. Ports that are open already are
// no error; errdefs.ErrConflict names one that leads elsewhere.
func (t *Table) Publish(ports []Port) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := maps.Clone(t.ports)
	opened, err := open(all, ports)
	if err != nil || len(opened) == 0 {
		return err
	}
	for a, p := range opened {
		if !a.fromLoopback() {
			continue
		}
		if err := allowLoopback(p.Bridge); err != nil {
			return err
		}
	}
	err = t.change(opened, addElements)
	if errors.Is(err, unix.ENOENT) {
		err = t.rebuild(t.networks, all)
	}
	if err != nil {
		return fmt.Errorf("cannot publish ports: %w", err)
	}
	t.ports = all
	forgetFlows(opened)
	return nil
}

// Unpublish closes ports; those that are not open, or lead elsewhere by now,
// are left as they are.
func (t *Table) Unpublish(ports []Port) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	closed := map[address]Port{}
	for _, p := range ports {
		if a, err := p.address(); err == nil && t.ports[a] == p {
			closed[a] = p
		}
	}
	if len(closed) == 0 {
		return nil
	}
	all := maps.Clone(t.ports)
	maps.DeleteFunc(all, func(a address, _ Port) bool { _, gone := closed[a]; return gone })
	err := t.change(closed, deleteElements)
	if errors.Is(err, unix.ENOENT) {
		err = t.rebuild(t.networks, all)
	}
	if err != nil {
		return fmt.Errorf("cannot withdraw published ports: %w", err)
	}
	t.ports = all
	forgetFlows(closed)
	return nil
}

// open adds ports to those that are there, and returns the new ones.
func open(all map[address]Port, ports []Port) (map[address]Port, error) {
	opened := map[address]Port{}
	for _, p := range ports {
		a, err := p.address()
		if err != nil {
			return nil, err
		}
		switch other, taken := all[a]; {
		case !taken:
			all[a], opened[a] = p, p
		case other != p:
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot publish %s: %s is published already", p, other))
		}
	}
	return opened, nil
}

// change adds or deletes the elements of ports, in one transaction.
func (t *Table) change(ports map[address]Port, how func(*nftables.Conn, elements) error) error {
	e := elements{}
	for a, p := range ports {
		e.port(t.sets, a, p)
	}
	return commit(func(c *nftables.Conn) error { return how(c, e) })
}

// Delete removes the table; one that is not there is no error.
func (t *Table) Delete() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := commit(func(c *nftables.Conn) error { replaceTable(c, t.table); return nil })
	if err != nil {
		return explain(err)
	}
	t.networks, t.ports = map[string]Network{}, map[address]Port{}
	return acceptForwarding(t.table.Name, nil)
}
