package firewall

import (
	"errors"
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Publish opens ports: all of them or none. Ports that are open already are
// no error; errdefs.ErrConflict names one that leads elsewhere.
func (t *Table) Publish(ports []Port) error {
	now, err := t.publish(ports)
	forgetFlows(now)
	return err
}

func (t *Table) publish(ports []Port) (map[address]Port, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, err := opened(t.ports, ports)
	if err != nil || len(now) == 0 {
		return nil, err
	}
	for a, p := range now {
		if !a.fromLoopback() {
			continue
		}
		if err := allowLoopback(p.Bridge); err != nil {
			return nil, err
		}
	}
	if err := t.changePorts(now, addElements, func(all map[address]Port) { maps.Copy(all, now) }); err != nil {
		return nil, fmt.Errorf("cannot publish ports: %w", err)
	}
	return now, nil
}

// Unpublish closes ports; those that are not open, or lead elsewhere by now,
// are left as they are.
func (t *Table) Unpublish(ports []Port) error {
	gone, err := t.unpublish(ports)
	forgetFlows(gone)
	return err
}

func (t *Table) unpublish(ports []Port) (map[address]Port, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := map[address]Port{}
	for _, p := range ports {
		if a, err := p.address(); err == nil && t.ports[a] == p {
			gone[a] = p
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	remove := func(all map[address]Port) {
		for a := range gone {
			delete(all, a)
		}
	}
	if err := t.changePorts(gone, deleteElements, remove); err != nil {
		return nil, fmt.Errorf("cannot withdraw published ports: %w", err)
	}
	return gone, nil
}

// opened returns those of the ports that are not there yet.
func opened(there map[address]Port, ports []Port) (map[address]Port, error) {
	now := make(map[address]Port, len(ports))
	for _, p := range ports {
		a, err := p.address()
		if err != nil {
			return nil, err
		}
		other, taken := there[a]
		if !taken {
			other, taken = now[a]
		}
		if taken && other != p {
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf("cannot publish %s: %s is published already", p, other))
		}
		if _, was := there[a]; !was {
			now[a] = p
		}
	}
	return now, nil
}

// changePorts changes the kernel's table in one transaction, and then what we
// know of it.
func (t *Table) changePorts(ports map[address]Port, how func(*nftables.Conn, elements) error, apply func(map[address]Port)) error {
	e := t.portElements(ports)
	err := t.commit(func(c *nftables.Conn) error { return how(c, e) })
	if errors.Is(err, unix.ENOENT) { // someone flushed the host's rules
		all := maps.Clone(t.ports)
		apply(all)
		return t.rebuild(t.networks, all)
	}
	if err == nil {
		apply(t.ports)
	}
	return err
}

func (t *Table) portElements(ports map[address]Port) elements {
	e := elements{}
	for a, p := range ports {
		e.port(t.sets, a, p)
	}
	return e
}
