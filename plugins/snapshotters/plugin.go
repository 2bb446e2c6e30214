// Package snapshotters unpacks images that were pulled into further
// snapshotters than the one of the pull, so that a container that is to run on
// another one need not wait for it.
//
// An unpacked image is kept by containerd as long as the image is: a label of
// its configuration refers to the snapshot. What was begun and not ended, as
// when the daemon stops, is under a lease until then, and collected after.
package snapshotters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("snapshotters", New, plugins.WhenConfigured(), plugins.Defaults(Config{Concurrency: 1}),
	plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Timeout = 10 * time.Minute }))

// Config is the section plugins.snapshotters of the configuration file.
type Config struct {
	// Rules say which images go where. All that match are followed.
	Rules []Rule `yaml:"rules"`
	// Concurrency is how many images are unpacked at a time in the background.
	Concurrency uint8 `yaml:"concurrency"`
}

// Rule unpacks the images that it is for.
type Rule struct {
	// When says which: by their name (image), by what their configuration is
	// labelled with, and by the namespace of the pod that they are pulled for.
	When *when.When `yaml:"when"`
	// Into are containerd's snapshotters.
	Into []string `yaml:"into"`
	// Background lets the pull be done before.
	Background bool `yaml:"background"`
	// OnError says whether a failure makes the pull fail; empty means it does.
	// In the background nothing is left to fail.
	OnError plugins.OnError `yaml:"onError"`
}

// Validate reports a configuration in which nothing would be unpacked.
func (c Config) Validate() error {
	if c.Concurrency == 0 {
		return errors.New("concurrency 0: at least one image must be unpacked at a time")
	}
	return nil
}

// Validate reports a rule that does nothing, or says what cannot be.
func (r Rule) Validate() error {
	if len(r.Into) == 0 {
		return errors.New("the key into is missing: give the names of snapshotters, as [native]")
	}
	for _, name := range r.Into {
		if name == "" || strings.ContainsAny(name, "/ \t\n") {
			return fmt.Errorf("into %q: write the name of a snapshotter, such as native", name)
		}
	}
	if r.Background && r.OnError == plugins.Fail {
		return errors.New("background and onError: fail exclude each other: the pull is done before")
	}
	return nil
}

// Params are what the plugin needs.
type Params struct {
	plugins.In
	Config Config
	Log    *zap.Logger
}

// Plugin unpacks.
type Plugin struct {
	config Config
	log    *zap.Logger
	ctx    context.Context // ends when the daemon stops
	end    context.CancelFunc
	turns  chan struct{} // one for each image that is unpacked in the background

	mu      sync.Mutex
	stopped bool
	waiting map[job]bool
	work    sync.WaitGroup
}

// job is an image to be unpacked in the background.
type job struct{ namespace, target, snapshotter string }

// New returns the plugin.
func New(p Params) (*Plugin, error) {
	ctx, end := context.WithCancel(context.Background())
	return &Plugin{
		config: p.Config, log: p.Log, ctx: ctx, end: end,
		turns: make(chan struct{}, p.Config.Concurrency), waiting: map[job]bool{},
	}, nil
}

// PreStartHook does nothing: there is an engine only later.
func (p *Plugin) PreStartHook() error { return nil }

// PreStopHook ends what is unpacked in the background, and waits for it.
func (p *Plugin) PreStopHook() error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.end()
	p.work.Wait()
	return nil
}

// PostPull unpacks the image, or has it unpacked.
func (p *Plugin) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	for i := range p.config.Rules {
		r := &p.config.Rules[i]
		about := when.Asked(ctx)
		about.Image = image.Name()
		if r.When != nil && len(r.When.Labels) > 0 {
			spec, err := image.Spec(ctx)
			if err != nil {
				return fmt.Errorf("cannot read the labels of %s: %w", image.Name(), err)
			}
			about.Labels = spec.Config.Labels
		}
		if !r.When.Matches(about) {
			continue
		}
		for _, name := range r.Into {
			if name == snapshotter {
				continue // the pull has
			}
			if r.Background {
				p.later(ctx, name, image)
				continue
			}
			if err := p.now(ctx, name, image); err != nil {
				if r.OnError != plugins.Ignore || ctx.Err() != nil {
					return err
				}
				p.log.Warn("the image is not in a further snapshotter", zap.String("image", image.Name()), zap.String("snapshotter", name), zap.Error(err))
			}
		}
	}
	return nil
}

// now unpacks while the pull waits.
func (p *Plugin) now(ctx context.Context, snapshotter string, image containerd.Image) error {
	if !p.begin(nil) {
		return errdefs.ErrUnavailable.WithMessage("the daemon stops")
	}
	defer p.work.Done()
	return unpack(ctx, snapshotter, image)
}

// later unpacks when it is the image's turn. The pull, its context and its
// lease have ended by then: the image itself is what keeps its content.
func (p *Plugin) later(ctx context.Context, snapshotter string, image containerd.Image) {
	namespace, _ := namespaces.Namespace(ctx)
	j := job{namespace, image.Target().Digest.String(), snapshotter}
	if !p.begin(&j) {
		return
	}
	ctx = p.ctx
	if namespace != "" {
		ctx = namespaces.WithNamespace(ctx, namespace)
	}
	log := p.log.With(zap.String("image", image.Name()), zap.String("snapshotter", snapshotter))
	go func() {
		defer p.work.Done()
		defer func() {
			p.mu.Lock()
			delete(p.waiting, j)
			p.mu.Unlock()
		}()
		select {
		case p.turns <- struct{}{}:
			defer func() { <-p.turns }()
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil { // the turn is that of one which the stop has ended
			return
		}
		begin := time.Now()
		switch err := unpack(ctx, snapshotter, image); {
		case err == nil:
			log.Info("the image is in a further snapshotter", zap.Duration("duration", time.Since(begin)))
		case ctx.Err() != nil:
			log.Info("the daemon stops: the image is not unpacked")
		default:
			log.Warn("the image is not in a further snapshotter", zap.Error(err))
		}
	}()
}

// begin counts work that PreStopHook waits for, unless it was called, or a job
// is waiting already.
func (p *Plugin) begin(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || j != nil && p.waiting[*j] {
		return false
	}
	if j != nil {
		p.waiting[*j] = true
	}
	p.work.Add(1)
	return true
}

// unpack is done already where all is there; then it only says so to
// containerd.
func unpack(ctx context.Context, snapshotter string, image containerd.Image) (err error) {
	defer func() { // in the background nobody else would catch it
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if _, err := image.IsUnpacked(ctx, snapshotter); errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) {
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("image %s: containerd has no snapshotter %q that works here: use another one, such as native, or set that one up: %v", image.Name(), snapshotter, err))
	} else if err != nil {
		return fmt.Errorf("image %s: snapshotter %q: %w", image.Name(), snapshotter, err)
	}
	err = image.Unpack(ctx, snapshotter)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), strings.Contains(err.Error(), syscall.ENOSPC.Error()): // an external containerd sends the text alone
		return errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("image %s: snapshotter %q is full: remove images, give it more room, or leave it out of plugins.snapshotters: %v", image.Name(), snapshotter, err))
	}
	return fmt.Errorf("unpack image %s into snapshotter %q: %w", image.Name(), snapshotter, err)
}
