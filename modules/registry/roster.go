package registry

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
)

// Roster knows every plugin of the daemon once, by name, however many kinds it
// has and whether it was provided or registered.
type Roster struct {
	log        *zap.Logger
	registered []*plugins.Registration

	mu      sync.Mutex
	members map[string]*member
}

// member is a plugin with what became of it.
type member struct {
	reg *plugins.Registration

	mu  sync.Mutex
	err error
}

// failure says why the plugin is not called: it failed to start.
func (m *member) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// NewRoster makes the roster of a daemon. registered is what init functions
// registered (plugins.Registered); settings decide on their policies, those of
// provided plugins are decided already.
func NewRoster(settings plugins.Settings, registered []plugins.Registration, log *zap.Logger) (*Roster, error) {
	r := &Roster{log: log, members: make(map[string]*member)}
	for _, reg := range registered {
		if err := Settle(&reg, settings); err != nil {
			return nil, err
		}
		r.registered = append(r.registered, &reg)
	}
	return r, nil
}

// Settle overlays the policy of a plugin that an init function registered
// with its section of the configuration; a disabled one loses its instance.
func Settle(reg *plugins.Registration, settings plugins.Settings) error {
	err := settings.Plugin(reg.Name, &reg.Policy, nil)
	if err == nil {
		err = reg.Policy.Validate()
	}
	if err != nil {
		return fmt.Errorf("plugin %q: %w", reg.Name, err)
	}
	if !reg.Policy.Enabled {
		reg.Plugin = nil
	}
	return nil
}

// enter adds the plugins of one kind to the roster, the registered ones too,
// and returns them in the order of the chain.
func (r *Roster) enter(kind plugins.Kind, provided []*plugins.Registration) ([]*member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var members []*member
	for _, reg := range slices.Concat(provided, r.registered) {
		if !reg.Is(kind) {
			continue
		}
		m, known := r.members[reg.Name]
		if !known {
			m = &member{reg: reg, err: reg.Err}
			r.members[reg.Name] = m
			if reg.Err != nil {
				r.log.Error("optional plugin failed: running degraded", zap.String("plugin", reg.Name), zap.Error(reg.Err))
			}
		} else if m.reg != reg {
			return nil, Duplicate(m.reg, reg)
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b *member) int { return Compare(a.reg, b.reg) })
	return members, nil
}

// all returns every plugin that was entered, in order.
func (r *Roster) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b *member) int { return Compare(a.reg, b.reg) })
	return members
}

// Compare orders plugins: bigger priority first, then by name.
func Compare(a, b *plugins.Registration) int {
	return cmp.Or(cmp.Compare(b.Policy.Priority, a.Policy.Priority), cmp.Compare(a.Name, b.Name))
}

// Duplicate is the error of two plugins with one name.
func Duplicate(a, b *plugins.Registration) error {
	first, second := a.Origin, b.Origin
	if second < first {
		first, second = second, first // the value groups come in no order
	}
	return fmt.Errorf("two plugins are named %q: %s and %s: rename one", a.Name, first, second)
}

// newChain makes the chain of one kind. Disabled and failed plugins are not
// in it.
func newChain[P any](r *Roster, kind plugins.Kind, provided []*plugins.Registration) (*chain[P], error) {
	members, err := r.enter(kind, provided)
	if err != nil {
		return nil, err
	}
	c := &chain[P]{log: r.log}
	for _, m := range members {
		if m.reg.Plugin == nil {
			continue
		}
		plugin, ok := m.reg.Plugin.(P)
		if !ok {
			return nil, fmt.Errorf("plugin %q: %T is not of kind %s", m.reg.Name, m.reg.Plugin, kind)
		}
		c.links = append(c.links, link[P]{m, plugin})
	}
	return c, nil
}
