package networks

import (
	"context"
	"reflect"
	"sync"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// rules are the daemon's firewall. A daemon starts where there can be none, as
// containers without networks need none; the first network that is used tries
// again, and its error says what is missing.
type rules struct {
	table *firewall.Table
	log   *zap.Logger

	mu      sync.Mutex
	begun   bool
	allowed map[string]firewall.Network // by bridge
	release context.CancelFunc          // ends keep
	keeping sync.WaitGroup
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
	r.keep()
	return nil
}

// keep has the table made again when someone flushes the host's rules.
func (r *rules) keep() {
	if r.release != nil {
		return
	}
	var ctx context.Context
	ctx, r.release = context.WithCancel(context.Background())
	r.keeping.Go(func() {
		err := r.table.Keep(ctx, func(err error) {
			if err != nil {
				r.log.Error("someone deleted the firewall's rules, and they cannot be made again: restart the daemon", zap.Error(err))
				return
			}
			r.log.Warn("someone deleted the firewall's rules: made them again")
		})
		if err != nil {
			r.log.Warn("cannot watch the firewall's rules: when someone deletes them, they are made again with the next change", zap.Error(err))
		}
	})
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

// end ends what runs in this process. Rules that serve nobody go.
func (r *rules) end(used bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return nil
	}
	r.begun = false
	r.release()
	r.release = nil
	r.keeping.Wait()
	if !used {
		return r.table.Delete()
	}
	r.table.Close()
	return nil
}
