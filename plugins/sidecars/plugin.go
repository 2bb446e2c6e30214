// Package sidecars runs helper processes beside the daemon: they are started,
// and ready, before the engine starts, are started again when they end, and
// stop after it, in reverse.
//
// No helper outlives its daemon. One that is stopped gets SIGTERM, and SIGKILL
// when it does not heed that, with all of its process group. When the daemon
// is killed the kernel kills the helper; what the helper itself had started is
// found by its environment when the daemon comes back, and killed before
// another one is started.
package sidecars

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("sidecars", New, plugins.WhenConfigured(), plugins.Defaults(Config{}),
	plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Timeout = time.Minute }))

// Params are what the plugin needs.
type Params struct {
	plugins.In
	Config Config
	Log    *zap.Logger
}

// Plugin owns the helpers.
type Plugin struct {
	config Config
	log    *zap.Logger
	ctx    context.Context // ends when nothing is to be started any more
	end    context.CancelFunc

	mu      sync.Mutex // held by a hook at work
	running []*helper  // in the order of their starts
}

// New returns the plugin. It starts nothing: that is for the hook.
func New(p Params) (*Plugin, error) {
	ctx, end := context.WithCancel(context.Background())
	return &Plugin{config: p.Config, log: p.Log, ctx: ctx, end: end}, nil
}

// PreStartHook starts the helpers, each when the one before it is ready. When
// one fails, none is left.
func (p *Plugin) PreStartHook() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	me, err := self()
	if err == nil {
		err = removeLeftovers(p.config.names(), p.log)
	}
	if err != nil {
		return fmt.Errorf("cannot tell which helpers an earlier daemon left behind: %w", err)
	}
	for _, c := range p.config.Helpers {
		h := newHelper(c, me, p.log.With(zap.String("helper", c.Name)))
		p.running = append(p.running, h)
		if err := h.start(p.ctx); err != nil {
			return errors.Join(err, p.stop())
		}
	}
	return nil
}

// PreStopHook stops the helpers, the last one first. A PreStartHook that is
// still at work gives up.
func (p *Plugin) PreStopHook() error {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop()
}

func (p *Plugin) stop() (err error) {
	for _, h := range slices.Backward(p.running) {
		err = errors.Join(err, h.stop())
	}
	p.running = nil
	return err
}
