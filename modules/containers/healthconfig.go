package containers

import (
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/types"
)

// What a health check has that does not say otherwise; dockerd's.
const (
	healthInterval      = 30 * time.Second
	healthTimeout       = 30 * time.Second
	healthStartInterval = 5 * time.Second
	healthRetries       = 3
)

// validateHealth checks a health check as dockerd does.
func validateHealth(h *container.HealthConfig) error {
	if h == nil {
		return nil
	}
	for _, d := range []struct {
		name  string
		given time.Duration
	}{{"Interval", h.Interval}, {"Timeout", h.Timeout}, {"StartPeriod", h.StartPeriod}, {"StartInterval", h.StartInterval}} {
		if d.given != 0 && d.given < time.Millisecond {
			return invalid("%s in Healthcheck cannot be less than 1ms", d.name)
		}
	}
	if h.Retries < 0 {
		return invalid("Retries in Healthcheck cannot be negative")
	}
	return nil
}

// mergeHealth returns the client's health check with what it leaves to the
// image.
func mergeHealth(client, image *container.HealthConfig) *container.HealthConfig {
	if client == nil || image == nil {
		if client == nil {
			return image
		}
		return client
	}
	h := *client
	if len(h.Test) == 0 {
		h.Test = slices.Clone(image.Test)
	}
	for _, d := range []struct{ to, from *time.Duration }{
		{&h.Interval, &image.Interval}, {&h.Timeout, &image.Timeout},
		{&h.StartPeriod, &image.StartPeriod}, {&h.StartInterval, &image.StartInterval},
	} {
		if *d.to == 0 {
			*d.to = *d.from
		}
	}
	if h.Retries == 0 {
		h.Retries = image.Retries
	}
	return &h
}

// probe is a container's health check, ready to be run.
type probe struct {
	cmd                                           []string
	interval, timeout, startPeriod, startInterval time.Duration
	retries                                       int
}

// newProbe returns nil for a container without a health check.
func newProbe(c *types.ContainerConfig) *probe {
	h := c.Healthcheck
	if h == nil || len(h.Test) == 0 {
		return nil
	}
	p := &probe{cmd: h.Test[1:], interval: h.Interval, timeout: h.Timeout, startPeriod: h.StartPeriod, startInterval: h.StartInterval, retries: h.Retries}
	switch h.Test[0] {
	case "CMD":
	case "CMD-SHELL":
		shell := c.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		p.cmd = slices.Concat(shell, p.cmd)
	default: // NONE, and what dockerd does not know either
		return nil
	}
	for _, d := range []struct {
		to        *time.Duration
		otherwise time.Duration
	}{{&p.interval, healthInterval}, {&p.timeout, healthTimeout}, {&p.startInterval, healthStartInterval}} {
		if *d.to == 0 {
			*d.to = d.otherwise
		}
	}
	if p.retries == 0 {
		p.retries = healthRetries
	}
	return p
}

// wait is how long to wait before the next check of a container that has run
// for a while.
func (p *probe) wait(ran time.Duration, status container.HealthStatus) time.Duration {
	if ran < p.startPeriod && status == container.Starting {
		return p.startInterval
	}
	return p.interval
}
