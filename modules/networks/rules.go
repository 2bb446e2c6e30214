package networks

import (
	"sync"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// rules are the daemon's firewall. A daemon starts where there can be none, as
// containers without networks need none; the first network that is used tries
// again, and its error says what is missing.
type rules struct {
	table *firewall.Table

	mu    sync.Mutex
	begun bool
}

// begin makes the table anew.
func (r *rules) begin(networks []firewall.Network, ports []firewall.Port) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.table.Replace(networks, ports)
	r.begun = err == nil
	return err
}

func (r *rules) ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun {
		return nil
	}
	if err := r.table.Replace(nil, nil); err != nil {
		return err
	}
	r.begun = true
	return nil
}

// allow lets a network in.
func (r *rules) allow(n firewall.Network) error {
	if err := r.ready(); err != nil {
		return err
	}
	return r.table.AddNetwork(n)
}

// forget removes what allow made.
func (r *rules) forget(bridge string) error {
	r.mu.Lock()
	begun := r.begun
	r.mu.Unlock()
	if !begun {
		return nil
	}
	return r.table.RemoveNetwork(bridge)
}

// end removes all rules.
func (r *rules) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = false
	return r.table.Delete()
}
