package app_test

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/plugins"
)

func observedLog() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), logs
}

// runOnce runs a target until it is ready, then stops it, and returns what ran.
func runOnce(t *testing.T, target app.Target) []lifecycle.Entry {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timeline, c := lifecycle.NewTimeline(), config.Default()
	log, logs := observedLog()
	status := app.Run(ctx, target, &c, app.OnReady(cancel), app.WithTimeline(timeline), app.WithLogger(log))
	require.Equal(t, 0, status, "%v", logs.All())
	return timeline.Entries()
}

func names(entries []lifecycle.Entry, phase lifecycle.Phase) []string {
	var list []string
	for _, e := range entries {
		if e.Phase == phase {
			list = append(list, e.Name)
		}
	}
	return list
}

// early is a component that something else drags in at an odd time.
type early struct{ component }

// Nothing of the engine comes before the hooks of plugins, and stopping is
// the mirror image, wherever a module or a plugin stands in its list.
func TestPluginsStartBeforeTheEngineAndStopAfterIt(t *testing.T) {
	target := target(nil, nil, nil, nil)
	target.Modules = append(target.Modules, fx.Module("dragged", fx.Provide(func(lc fx.Lifecycle) *early {
		e := &early{component{name: "dragged"}}
		lc.Append(fx.Hook{OnStart: e.Start, OnStop: e.Stop})
		return e
	})))
	// A container plugin may have a component of the engine; that it is built
	// before all others must not start it before the gate.
	target.Plugins = append(target.Plugins, plugins.Provide("needs-engine", func(*early) (*idle, error) { return &idle{}, nil }, plugins.Priority(99)))
	target.Root = func(*early, plugins.ContainerPlugin, components) {}

	entries := runOnce(t, target)
	started, stopped := names(entries, lifecycle.Start), names(entries, lifecycle.Stop)
	assert.Equal(t, []string{"plugin p1 PreStartHook", "plugin p2 PreStartHook", "plugin p3 PreStartHook"}, started[:3])
	assert.Len(t, started, 7)
	slices.Reverse(stopped)
	for i, name := range started {
		assert.Equal(t, strings.NewReplacer("PreStart", "PreStop", ").Start", ").Stop").Replace(name), stopped[i])
	}
	for _, e := range entries {
		if e.Phase == lifecycle.Start && e.Module != "daemonhooks" {
			assert.Equal(t, "app_test.(*component).Start", e.Name)
			assert.Equal(t, "app_test", e.Module)
		}
	}
}

func TestTheTimelineNamesConstructors(t *testing.T) {
	constructed := names(runOnce(t, target(nil, nil, nil, nil)), lifecycle.Construct)
	for _, name := range []string{"registry.provideDaemons", "daemonhooks.provideStarted", "plugin p1", "plugin p2", "plugin p3"} {
		assert.Contains(t, constructed, name)
	}
}

func TestDaemonPluginsAreThereWithoutAnEngine(t *testing.T) {
	started := names(runOnce(t, app.Target{Plugins: []*plugins.Provided{plugin("alone", nil, nil)}}), lifecycle.Start)
	assert.Equal(t, []string{"plugin alone PreStartHook"}, started)
}

func TestSystemdIsToldAboutReadyWatchdogAndStopping(t *testing.T) {
	address := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", "2000")

	ctx, cancel := context.WithCancel(t.Context())
	states := make(chan []string)
	go func() {
		var got []string
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		for buffer := make([]byte, 64); ; {
			n, err := conn.Read(buffer)
			state := string(buffer[:n])
			if len(got) == 0 || got[len(got)-1] != state {
				got = append(got, state)
			}
			if state == "WATCHDOG=1" {
				cancel()
			}
			if err != nil || state == "STOPPING=1" {
				states <- got
				return
			}
		}
	}()
	c := config.Default()
	assert.Equal(t, 0, app.Run(ctx, target(nil, nil, nil, nil), &c, app.WithLogger(zap.NewNop())))
	assert.Equal(t, []string{"READY=1", "WATCHDOG=1", "STOPPING=1"}, <-states)
}
