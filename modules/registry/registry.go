package registry

import "github.com/pouchfx/pouchfx/plugins"

// Status is what became of a plugin; without a running daemon, what is to
// become of it.
type Status string

// The states of a plugin.
const (
	Running  Status = "running"
	Disabled Status = "disabled"
	Failed   Status = "failed"
	// Tripped plugins are skipped for a while: their circuit breaker is open.
	Tripped Status = "skipped"
)

// Info is one plugin as the daemon lists it.
type Info struct {
	Name   string         `json:"name"`
	Kinds  []plugins.Kind `json:"kinds"`
	Policy plugins.Policy `json:"policy"`
	Status Status         `json:"status"`
	// Error says why the plugin failed.
	Error string `json:"error,omitempty"`
	// Breaker is the state of its circuit breaker, if it has one.
	Breaker *BreakerInfo `json:"breaker,omitempty"`
	// Origin is the function that provided or registered it.
	Origin string `json:"origin"`
}

// Registry lists the plugins of all kinds.
type Registry struct{ roster *Roster }

// New makes the registry of a roster from the provided plugins of all kinds.
func New(r *Roster, provided map[plugins.Kind][]*plugins.Registration) (*Registry, error) {
	for _, kind := range plugins.Kinds() {
		if _, err := r.enter(kind, provided[kind]); err != nil {
			return nil, err
		}
	}
	return &Registry{r}, nil
}

// List returns all plugins in order, the disabled and the failed ones too.
func (r *Registry) List() []Info {
	var all []Info
	for _, m := range r.roster.all() {
		info := Describe(m.reg)
		if err := m.failure(); err != nil {
			info.Status, info.Error = Failed, err.Error()
		} else if info.Breaker = m.breaker.info(); info.Breaker != nil && info.Breaker.State == "open" {
			info.Status = Tripped
		}
		all = append(all, info)
	}
	return all
}

// Describe tells what is known of a plugin before it is constructed.
func Describe(r *plugins.Registration) Info {
	info := Info{Name: r.Name, Kinds: r.Kinds, Policy: r.Policy, Origin: r.Origin, Status: Running}
	if !r.Policy.Enabled {
		info.Status = Disabled
	}
	return info
}
