package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/plugins"
)

type hook = func(context.Context) error

// component is a module's service; Start and Stop are hooks as any module has.
type component struct {
	name        string
	start, stop hook
}

func (c *component) Start(ctx context.Context) error { return say("+"+c.name, c.start, ctx) }
func (c *component) Stop(ctx context.Context) error  { return say("-"+c.name, c.stop, ctx) }

func say(line string, do hook, ctx context.Context) error {
	fmt.Println(line)
	if do == nil {
		return nil
	}
	return do(ctx)
}

// module is a module of the engine; provides what its constructor gives.
func module(name string, start, stop hook) fx.Option {
	return fx.Module(name, fx.Provide(fx.Annotate(
		func(lc fx.Lifecycle) *component {
			c := &component{name, start, stop}
			lc.Append(fx.Hook{OnStart: c.Start, OnStop: c.Stop})
			return c
		}, fx.ResultTags(`group:"components"`))))
}

type components struct {
	fx.In
	All []*component `group:"components"`
}

// daemonPlugin prints like a component.
type daemonPlugin struct {
	name        string
	start, stop func() error
}

func (d *daemonPlugin) PreStartHook() error { return say("+"+d.name, without(d.start), nil) }
func (d *daemonPlugin) PreStopHook() error  { return say("-"+d.name, without(d.stop), nil) }

func without(f func() error) hook {
	if f == nil {
		return nil
	}
	return func(context.Context) error { return f() }
}

func plugin(name string, start, stop func() error, opts ...plugins.Option) *plugins.Provided {
	return plugins.Provide(name, func(struct{}) (*daemonPlugin, error) {
		return &daemonPlugin{name, start, stop}, nil
	}, opts...)
}

func impatient() plugins.Option {
	return plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Timeout = 50 * time.Millisecond })
}

// What a hook may do wrong.
var errRefused = errors.New("refused")

func refuses(context.Context) error { return errRefused }
func panics(context.Context) error  { panic("boom") }
func exits(context.Context) error   { runtime.Goexit(); return nil }
func hangs(context.Context) error   { select {} }
func yields(ctx context.Context) error {
	<-ctx.Done()
	return errors.New("gave up")
}

func now(h hook) func() error { return func() error { return h(context.Background()) } }

// target has two daemon plugins and three modules, of which the middle ones
// do what is given; nil does nothing.
func target(start, stop hook, preStart, preStop func() error, opts ...plugins.Option) app.Target {
	return app.Target{
		Name: "test",
		Modules: []fx.Option{
			module("store", nil, nil), module("engine", start, stop), module("api", nil, nil),
		},
		Plugins: []*plugins.Provided{
			plugin("p2", preStart, preStop, opts...), plugin("p1", nil, nil, plugins.Priority(1)), plugin("p3", nil, nil, plugins.Priority(-1)),
		},
		Root: func(components) {},
	}
}

// run runs a target as a daemon that prints when it is ready.
func run(t app.Target, changes ...func(*config.Config)) int {
	c := config.Default()
	for _, change := range changes {
		change(&c)
	}
	return app.Run(context.Background(), t, &c, app.OnReady(func() { fmt.Println("ready") }))
}

// runUntilTold runs a target and prints when it has been told to stop.
func runUntilTold(t app.Target) int {
	c := config.Default()
	log := zap.Must(zap.NewDevelopment(zap.Hooks(func(e zapcore.Entry) error {
		if strings.HasPrefix(e.Message, "stopping") {
			fmt.Println("told")
		}
		return nil
	})))
	return app.Run(context.Background(), t, &c, app.WithLogger(log))
}

func hasty(c *config.Config) {
	c.StartTimeout, c.StopTimeout = 50*time.Millisecond, 50*time.Millisecond
}

// lineFromStdin returns when the test replies.
func lineFromStdin() { _, _ = bufio.NewReader(os.Stdin).ReadString('\n') }

var scenarios = map[string]func() int{
	"fine":         func() int { return run(target(nil, nil, nil, nil)) },
	"start hangs":  func() int { return run(target(hangs, nil, nil, nil)) },
	"start yields": func() int { return run(target(yields, nil, nil, nil)) },
	"stop hangs":   func() int { return run(target(nil, hangs, nil, nil)) },

	"start hangs past its timeout": func() int { return run(withoutPlugins(target(hangs, nil, nil, nil)), hasty) },
	"stop hangs past its timeout":  func() int { return run(withoutPlugins(target(nil, hangs, nil, nil)), hasty) },
	"start panics":                 func() int { return run(target(panics, nil, nil, nil)) },
	"stop panics":                  func() int { return run(target(nil, panics, nil, nil)) },
	"start exits its goroutine":    func() int { return run(target(exits, nil, nil, nil)) },
	"stop exits its goroutine":     func() int { return run(target(nil, exits, nil, nil)) },
	"start refuses":                func() int { return run(target(refuses, nil, nil, nil)) },
	"stop refuses":                 func() int { return run(target(nil, refuses, nil, nil)) },
	"start and stop refuse": func() int {
		t := target(nil, refuses, nil, nil)
		t.Modules = append(t.Modules, module("late", refuses, nil))
		return run(t)
	},

	"PreStart refuses": func() int { return run(target(nil, nil, now(refuses), nil)) },
	"PreStart panics":  func() int { return run(target(nil, nil, now(panics), nil)) },
	"PreStart hangs":   func() int { return run(target(nil, nil, now(hangs), nil)) },
	"PreStart hangs past its timeout": func() int {
		return run(target(nil, nil, now(hangs), nil, impatient()))
	},
	"optional PreStart refuses": func() int { return run(target(nil, nil, now(refuses), nil, plugins.Optional())) },
	"PreStop refuses":           func() int { return run(target(nil, nil, nil, now(refuses))) },
	"PreStop panics":            func() int { return run(target(nil, nil, nil, now(panics))) },
	"PreStop hangs":             func() int { return run(target(nil, nil, nil, now(hangs), impatient())) },
	"a plugin is slower than the lifecycle's timeout": func() int {
		t := target(nil, nil, func() error { time.Sleep(200 * time.Millisecond); return nil }, nil)
		return run(t, hasty)
	},

	"constructor waits": func() int {
		return runUntilTold(constructing(func() error { fmt.Println("constructing"); lineFromStdin(); return nil }))
	},
	"constructor refuses": func() int { return run(constructing(func() error { return errRefused })) },
	"constructor panics":  func() int { return run(constructing(func() error { panic("boom") })) },

	"fatal error": func() int {
		return run(reporting(func(fatal lifecycle.Fatal) hook {
			return func(context.Context) error {
				go func() { lineFromStdin(); fatal(errRefused); fatal(errors.New("second")) }()
				return nil
			}
		}))
	},
	"fatal error while starting": func() int {
		return run(reporting(func(fatal lifecycle.Fatal) hook {
			return func(ctx context.Context) error { fatal(errRefused); <-ctx.Done(); return ctx.Err() }
		}))
	},
	"shutdown with status 7 and a refusing stop": func() int {
		t := target(nil, refuses, nil, nil)
		t.Modules = append(t.Modules, fx.Invoke(func(s fx.Shutdowner) {
			go func() { lineFromStdin(); _ = s.Shutdown(fx.ExitCode(7)) }()
		}))
		return run(t)
	},
	"shutdown while starting": func() int {
		var s fx.Shutdowner
		t := target(func(context.Context) error { return s.Shutdown(fx.ExitCode(7)) }, nil, nil, nil)
		t.Modules = append(t.Modules, fx.Populate(&s))
		return run(t)
	},
	"pid file": func() int {
		return run(withoutPlugins(target(nil, nil, nil, nil)), func(c *config.Config) { c.Pidfile = os.Getenv("PIDFILE") })
	},
}

func withoutPlugins(t app.Target) app.Target {
	t.Plugins = nil
	return t
}

// constructing is a target with a module whose constructor calls f.
func constructing(f func() error) app.Target {
	t := target(nil, nil, nil, nil)
	t.Modules = append(t.Modules, fx.Module("odd", fx.Provide(func() (struct{ odd int }, error) { return struct{ odd int }{}, f() })))
	t.Root = func(components, struct{ odd int }) {}
	return t
}

// reporting is a target with a module that can end the daemon.
func reporting(start func(lifecycle.Fatal) hook) app.Target {
	t := target(nil, nil, nil, nil)
	t.Modules = append(t.Modules, fx.Module("odd", fx.Provide(fx.Annotate(
		func(lc fx.Lifecycle, fatal lifecycle.Fatal) *component {
			c := &component{"odd", start(fatal), nil}
			lc.Append(fx.Hook{OnStart: c.Start, OnStop: c.Stop})
			return c
		}, fx.ResultTags(`group:"components"`)))))
	return t
}
