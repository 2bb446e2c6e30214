package networks

import (
	"reflect"
	"sync"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// rules are the daemon's firewall. A daemon starts where there can be none, as
// containers without networks need none; the first network that is used tries
// again, and its error says what is missing.
type rules struct {
	table *firewall.Table

	mu      sync.Mutex
	begun   bool
	allowed map[string]firewall.Network // by bridge
}

// begin makes the table anew.
func (r *rules) begin(networks []firewall.Network, ports []firewall.Port) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replace(networks, ports)
}

func (r *rules) replace(networks []firewall.Network, ports []firewall.Port) error {
	if err := r.table.Replace(networks, ports); err != nil {
		return err
	}
	r.begun, r.allowed = true, map[string]firewall.Network{}
	for _, n := range networks {
		r.allowed[n.Bridge] = n
	}
	return nil
}

// allow lets a network in, unless that was done.
func (r *rules) allow(n firewall.Network) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		if err := r.replace(nil, nil); err != nil {
			return err
		}
	}
	if reflect.DeepEqual(r.allowed[n.Bridge], n) {
		return nil
	}
	if err := r.table.AddNetwork(n); err != nil {
		return err
	}
	r.allowed[n.Bridge] = n
	return nil
}

// expire has allow look at a network again: its device is a new one.
func (r *rules) expire(bridge string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.allowed, bridge)
}

// forget removes what allow made.
func (r *rules) forget(bridge string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return nil
	}
	delete(r.allowed, bridge)
	return r.table.RemoveNetwork(bridge)
}

// end removes all rules.
func (r *rules) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return nil
	}
	r.begun = false
	return r.table.Delete()
}
