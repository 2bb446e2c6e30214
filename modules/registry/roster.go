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
	settings   plugins.Settings
	observer   Observer
	ranks      map[string]int // nil where nobody knows all plugins beforehand
	registered []*plugins.Registration

	mu      sync.Mutex
	members map[string]*member
}

// member is a plugin with what became of it.
type member struct {
	reg     *plugins.Registration
	breaker *breaker

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

// Option changes a roster.
type Option func(*Roster)

// WithObserver has o told of every call of a hook.
func WithObserver(o Observer) Option { return func(r *Roster) { r.observer = o } }

// InOrder gives the order of all plugins of the daemon, as Order made it.
// Without it each kind is ordered by itself, knowing nothing of relations by
// way of plugins of other kinds.
func InOrder(ordered []*plugins.Registration) Option {
	return func(r *Roster) {
		r.ranks = make(map[string]int, len(ordered))
		for i, reg := range ordered {
			r.ranks[reg.Name] = i
		}
	}
}

// NewRoster makes the roster of a daemon. registered is what init functions
// registered (plugins.Registered); settings decide on their policies, those of
// provided plugins are decided already.
func NewRoster(settings plugins.Settings, registered []plugins.Registration, log *zap.Logger, opts ...Option) (*Roster, error) {
	r := &Roster{log: log, settings: settings, observer: nobody{}, members: make(map[string]*member)}
	for _, o := range opts {
		o(r)
	}
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
			m = &member{reg: reg, err: reg.Err, breaker: newBreaker(reg, r.log)}
			r.members[reg.Name] = m
			if reg.Err != nil {
				r.log.Error("optional plugin failed: running degraded", zap.String("plugin", reg.Name), zap.Error(reg.Err))
			}
		} else if m.reg != reg {
			return nil, Duplicate(m.reg, reg)
		}
		members = append(members, m)
	}
	return members, r.sort(members)
}

// sort brings members into the order of the daemon.
func (r *Roster) sort(members []*member) error {
	if r.ranks != nil {
		slices.SortFunc(members, func(a, b *member) int {
			return cmp.Or(cmp.Compare(r.ranks[a.reg.Name], r.ranks[b.reg.Name]), Compare(a.reg, b.reg))
		})
		return nil
	}
	regs := make([]*plugins.Registration, len(members))
	for i, m := range members {
		regs[i] = m.reg
	}
	ordered, err := Order(regs)
	slices.SortFunc(members, func(a, b *member) int {
		return cmp.Compare(slices.Index(ordered, a.reg), slices.Index(ordered, b.reg))
	})
	return err
}

// all returns every plugin that was entered, in order.
func (r *Roster) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		members = append(members, m)
	}
	_ = r.sort(members) // a cycle is there in the chains, too, and an error
	return members
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
	c := &chain[P]{roster: r}
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
