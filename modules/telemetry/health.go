package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pouchfx/pouchfx/modules/registry"
)

// checkTimeout bounds one check.
const checkTimeout = 5 * time.Second

// Check is what a module has to say about the daemon's health.
type Check struct {
	// Name says what is checked, "containerd".
	Name string
	// Run returns why it does not work.
	Run func(context.Context) error
}

// Status is the daemon's health in one word.
type Status string

const (
	// Ready means that all is well.
	Ready Status = "ready"
	// Degraded means that the daemon works without some of its plugins.
	Degraded Status = "degraded"
	// NotReady means that it does not work.
	NotReady Status = "failed"
)

// Health is how the daemon is.
type Health struct {
	Status Status `json:"status"`
	// Reasons say why it is not ready.
	Reasons []Reason `json:"reasons,omitempty"`
}

// Reason is one thing that is not as it should be.
type Reason struct {
	// Plugin is the plugin that has failed or is skipped, Check the check that
	// failed; one of them is empty.
	Plugin string `json:"plugin,omitempty"`
	Check  string `json:"check,omitempty"`
	// Text says what is wrong with it.
	Text string `json:"reason"`
}

// String says the same in a line.
func (r Reason) String() string {
	if r.Plugin != "" {
		return fmt.Sprintf("plugin %q: %s", r.Plugin, r.Text)
	}
	return r.Check + ": " + r.Text
}

// healthOf looks at the plugins and runs the checks, at the same time.
func healthOf(ctx context.Context, plugins []registry.Info, checks []Check) Health {
	h := Health{Status: Ready}
	for _, p := range plugins {
		switch p.Status {
		case registry.Failed:
			h.Status = Degraded
			h.Reasons = append(h.Reasons, Reason{Plugin: p.Name, Text: p.Error})
		case registry.Tripped:
			h.Status = Degraded
			h.Reasons = append(h.Reasons, Reason{Plugin: p.Name, Text: "skipped until " + p.Breaker.Until.Format(time.RFC3339) + ": it kept failing"})
		}
	}
	for i, err := range runAll(ctx, checks) {
		if err != nil {
			h.Status = NotReady
			h.Reasons = append(h.Reasons, Reason{Check: checks[i].Name, Text: err.Error()})
		}
	}
	return h
}

func runAll(ctx context.Context, checks []Check) []error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.Run(ctx) })
	}
	wg.Wait()
	return errs
}
