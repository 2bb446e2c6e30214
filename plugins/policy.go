package plugins

import (
	"fmt"
	"time"
)

// OnError says what a failing hook does to what it was called for.
type OnError string

const (
	// Fail makes the operation fail.
	Fail OnError = "fail"
	// Ignore logs the failure, drops what the hook changed and goes on.
	Ignore OnError = "ignore"
)

// UnmarshalText accepts "fail" and "ignore".
func (o *OnError) UnmarshalText(text []byte) error {
	switch v := OnError(text); v {
	case Fail, Ignore:
		*o = v
		return nil
	}
	return fmt.Errorf("onError %q: use %q or %q", text, Fail, Ignore)
}

// Policy is how the daemon treats one plugin. Its provider chooses the
// defaults; the key policy of the plugin's section in the configuration file
// overrides them.
type Policy struct {
	// Enabled false leaves the plugin out: its constructor does not run.
	Enabled bool `yaml:"enabled" json:"enabled"`
	// Required false lets the daemon run, degraded, when the plugin's
	// constructor or its PreStartHook fails.
	Required bool `yaml:"required" json:"required"`
	// Priority orders plugins of one kind: the bigger one comes first.
	Priority int `yaml:"priority" json:"priority"`
	// Before and After name plugins that this one comes before or after,
	// whatever the priorities. A plugin that comes after another by name may
	// overwrite what that one wrote.
	Before []string `yaml:"before" json:"before,omitempty"`
	After  []string `yaml:"after" json:"after,omitempty"`
	// Timeout bounds each call of a hook.
	Timeout time.Duration `yaml:"timeout" json:"timeout"`
	// OnError says what a failing hook does to what it was called for.
	OnError OnError `yaml:"onError" json:"onError"`
	// Breaker says when a plugin whose failures are ignored is left alone.
	Breaker Breaker `yaml:"breaker" json:"breaker"`
}

// Breaker is a circuit breaker: a plugin with OnError Ignore whose hooks fail
// again and again is skipped for a while, so that nobody waits for it.
type Breaker struct {
	// Failures in a row after which the plugin is skipped; 0 means never.
	Failures uint32 `yaml:"failures" json:"failures"`
	// Cooldown is how long it is skipped before one call tries it again.
	Cooldown time.Duration `yaml:"cooldown" json:"cooldown"`
}

// OnConflict says what becomes of a hook that writes what a plugin before it
// has written, and does not declare that it comes after that one.
type OnConflict string

const (
	// Warn reports it: in the log, in the metrics, in explain.
	Warn OnConflict = "warn"
	// Refuse makes the hook fail.
	Refuse OnConflict = "error"
)

// UnmarshalText accepts "warn" and "error".
func (o *OnConflict) UnmarshalText(text []byte) error {
	switch v := OnConflict(text); v {
	case Warn, Refuse:
		*o = v
		return nil
	}
	return fmt.Errorf("%q: use %q or %q", text, Warn, Refuse)
}

// DefaultTimeout bounds a hook whose provider and configuration say nothing.
const DefaultTimeout = 10 * time.Second

// DefaultPolicy is the policy of a plugin whose provider says nothing.
func DefaultPolicy() Policy {
	return Policy{
		Enabled: true, Required: true, Timeout: DefaultTimeout, OnError: Fail,
		Breaker: Breaker{Failures: 5, Cooldown: 30 * time.Second},
	}
}

// Validate reports a policy that cannot be kept.
func (p Policy) Validate() error {
	if p.Timeout <= 0 {
		return fmt.Errorf("timeout %v: must be positive, such as 10s", p.Timeout)
	}
	if p.OnError != Fail && p.OnError != Ignore {
		return fmt.Errorf("onError %q: use %q or %q", p.OnError, Fail, Ignore)
	}
	if p.Breaker.Failures > 0 && p.Breaker.Cooldown <= 0 {
		return fmt.Errorf("breaker: cooldown %v: must be positive, such as 30s", p.Breaker.Cooldown)
	}
	return nil
}

// Settings is where a plugin's policy and configuration come from. The
// daemon's config module implements it with its configuration file.
type Settings interface {
	// Plugin overlays the named plugin's section onto policy and config, a
	// pointer to the plugin's own configuration that is nil when it takes
	// none. An unknown key is an error, and so is what a Validate method of
	// config, or of a part of it, reports.
	Plugin(name string, policy *Policy, config any) error
	// Configured reports whether the named plugin has a section at all.
	Configured(name string) bool
	// Conflicts says what becomes of a hook, "PreCreate", that writes what
	// another plugin has written.
	Conflicts(hook string) OnConflict
}
