package app

import (
	"strings"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/plugins"
)

// recorder puts constructors on the timeline and fx's events into the log, at
// debug level. Hooks are left to bounded, which knows their names.
type recorder struct {
	timeline *lifecycle.Timeline
	zap      fxevent.ZapLogger
	plugin   string // whose settings were read last: the one being constructed
}

func newRecorder(timeline *lifecycle.Timeline, log *zap.Logger) *recorder {
	r := &recorder{timeline: timeline, zap: fxevent.ZapLogger{Logger: log.Named("fx")}}
	r.zap.UseLogLevel(zap.DebugLevel)
	r.zap.UseErrorLevel(zap.DebugLevel) // Run reports the error, once
	return r
}

// option makes fx use the recorder.
func (r *recorder) option() fx.Option {
	return fx.Options(
		silent, // should a cycle keep fx from constructing the recorder
		fx.WithLogger(func() fxevent.Logger { return r }),
		fx.Decorate(func(s plugins.Settings) plugins.Settings { return watchedSettings{s, r} }),
	)
}

// LogEvent records the event.
func (r *recorder) LogEvent(event fxevent.Event) {
	switch event.(type) {
	case *fxevent.OnStartExecuting, *fxevent.OnStartExecuted, *fxevent.OnStopExecuting, *fxevent.OnStopExecuted:
		return // fx knows the names of app's wrappers only
	}
	if r.zap.Logger.Core().Enabled(zap.DebugLevel) { // making the fields costs more than the rest
		r.zap.LogEvent(event)
	}
	run, ok := event.(*fxevent.Run)
	if !ok || run.Kind == "supply" {
		return
	}
	entry := lifecycle.Entry{
		Phase: lifecycle.Construct, Module: run.ModuleName, Took: run.Runtime,
		Name: strings.TrimSuffix(run.Name[strings.LastIndexByte(run.Name, '/')+1:], "()"),
	}
	if entry.Name == pluginProvider {
		entry.Name = "plugin " + r.plugin
	}
	if run.Err != nil {
		entry.Error = run.Err.Error()
	}
	r.timeline.Record(entry)
}

// pluginProvider is the name under which fx and dig know the providers of all
// plugins, which plugins.Provide makes by reflection.
const pluginProvider = "reflect.makeFuncStub"

// watchedSettings tells the recorder which plugin is being constructed: its
// provider asks for its settings first.
type watchedSettings struct {
	plugins.Settings
	r *recorder
}

func (w watchedSettings) Plugin(name string, policy *plugins.Policy, config any) error {
	w.r.plugin = name
	return w.Settings.Plugin(name, policy, config)
}
