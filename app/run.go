package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/fx"
	"go.uber.org/multierr"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/logging"
)

// The exit statuses of Run. A daemon that a signal stops before it is ready,
// or that a second one ends, exits with 128 and the signal's number.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Option changes how Run runs.
type Option func(*runner)

// WithTimeline makes Run record on a timeline that the caller keeps.
func WithTimeline(t *lifecycle.Timeline) Option { return func(r *runner) { r.timeline = t } }

// WithLogger makes Run log to log instead of as its configuration says, and
// leaves the log of the libraries alone.
func WithLogger(log *zap.Logger) Option { return func(r *runner) { r.log = log } }

// OnReady makes Run call f when the daemon is ready.
func OnReady(f func()) Option { return func(r *runner) { r.ready = f } }

// Run runs the target until a signal, the end of ctx, or a fatal error, and
// returns the exit status. It has stopped everything that it started, unless
// a second signal ended the process.
func Run(ctx context.Context, t Target, c *config.Config, opts ...Option) int {
	r := &runner{target: t, config: c, timeline: lifecycle.NewTimeline(), ready: func() {}}
	for _, o := range opts {
		o(r)
	}
	if r.log == nil {
		log, err := logging.New(c)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitUsage
		}
		logging.Containerd(log)
		r.log = log
	}
	defer func() { _ = r.log.Sync() }()

	var cancel context.CancelCauseFunc
	r.life, cancel = context.WithCancelCause(ctx)
	defer cancel(nil)
	defer takeSignals(cancel, r.log)() // before anything is constructed
	return r.run(func(err error) { cancel(fatalError{err}) })
}

// fatalError is why the daemon ends when a module says that it must.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// runner is one run of a target.
type runner struct {
	target   Target
	config   *config.Config
	timeline *lifecycle.Timeline
	log      *zap.Logger
	ready    func()
	life     context.Context // ends when the daemon is to stop, with the reason as cause
}

func (r *runner) run(fatal lifecycle.Fatal) int {
	env := environment{config: r.config, log: r.log, timeline: r.timeline, fatal: fatal}
	daemon, err := r.assemble(env)
	if err != nil {
		return r.failed("cannot assemble the daemon", err)
	}
	remove, err := writePidfile(r.config.Pidfile)
	if err != nil {
		return r.failed("cannot start", err)
	}
	defer remove()

	// fx gets contexts without a deadline: with one that has passed it would
	// stop nothing.
	if err := daemon.Start(context.Background()); err != nil {
		return r.failed("cannot start", err)
	}
	status := r.serve(daemon)
	notify(r.log, "STOPPING=1")
	begin := time.Now()
	if err := daemon.Stop(context.Background()); err != nil {
		for _, err := range multierr.Errors(err) {
			r.log.Error("cannot stop in order", zap.Error(err))
		}
		status = max(status, exitFailure)
	}
	r.log.Info("stopped", zap.Duration("duration", time.Since(begin)), zap.Int("status", status))
	return status
}

// assemble constructs the daemon and starts nothing.
func (r *runner) assemble(env environment) (*fx.App, error) {
	if err := r.target.checkDaemonPlugins(env); err != nil {
		return nil, err
	}
	var err error
	if env.order, err = r.target.order(r.config, r.log); err != nil {
		return nil, err
	}
	slowest := r.target.slowestDaemonPlugin(r.config)
	start, stop := max(r.config.StartTimeout, slowest), max(r.config.StopTimeout, slowest)
	daemon := fx.New(
		newRecorder(r.timeline, r.log).option(),
		fx.RecoverFromPanics(),
		fx.Decorate(func(lc fx.Lifecycle) fx.Lifecycle {
			return &bounded{Lifecycle: lc, life: r.life, start: start, stop: stop, timeline: r.timeline, log: r.log}
		}),
		env.base(r.target.Plugins),
		r.target.engine(),
		r.target.invoke(r.config),
	)
	if err := daemon.Err(); err != nil {
		return nil, r.target.explain(env, err)
	}
	return daemon, nil
}

// serve waits for the end of the daemon's life and returns the exit status.
func (r *runner) serve(daemon *fx.App) int {
	ticks, stop := watchdog(r.log)
	defer stop()
	notify(r.log, "READY=1")
	r.log.Info("ready", zap.String("target", r.target.Name), zap.Duration("duration", r.timeline.Age()))
	r.ready()
	shutdown := daemon.Wait()
	for {
		select {
		case <-ticks:
			notify(r.log, "WATCHDOG=1")
		case s := <-shutdown: // a module used fx.Shutdowner; or fx heard a signal too, with status 0
			return s.ExitCode
		case <-r.life.Done():
			var fatal fatalError
			if errors.As(context.Cause(r.life), &fatal) {
				r.log.Error("stopping: cannot go on", zap.Error(fatal.error))
				return exitFailure
			}
			return exitOK
		}
	}
}

// failed reports why the daemon did not get to serve. Whatever had started
// has been stopped.
func (r *runner) failed(message string, err error) int {
	for _, err := range multierr.Errors(err) {
		r.log.Error(message, zap.String("error", err.Error())) // fx's errors have a page more to say
	}
	var why told
	if errors.As(context.Cause(r.life), &why) {
		return why.status()
	}
	return exitFailure
}
