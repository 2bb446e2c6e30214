package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func (k *kit) checkConstructor(t *testing.T) {
	dir := t.TempDir()
	for _, variable := range []string{"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
		t.Setenv(variable, dir)
	}
	t.Chdir(dir)
	before := takeTraces()
	if _, err := k.construct(); err != nil {
		t.Fatal(err)
	}
	if err := before.left(); err != nil {
		t.Errorf("the constructor starts something: %v\nleave that to PreStartHook", err)
	}
	files, err := written(dir)
	require.NoError(t, err)
	if len(files) > 0 {
		t.Errorf("the constructor writes files: %s\nleave that to PreStartHook", strings.Join(files, ", "))
	}
	err = withoutFiles(func() error {
		_, err := k.construct()
		return err
	})
	if opens(err) {
		t.Errorf("the constructor opens something: %v\nleave that to PreStartHook, or to the first hook that needs it", err)
	} else if err != nil {
		t.Errorf("the constructor fails where nothing can be opened: %v", err)
	}
}

func (k *kit) checkStartAndStop(t *testing.T) {
	instance := func(t *testing.T) plugins.DaemonPlugin {
		plugin, err := k.construct()
		require.NoError(t, err)
		return plugin.(plugins.DaemonPlugin)
	}
	start := func(p plugins.DaemonPlugin) error { return k.guarded(func() error { return p.PreStartHook() }) }
	stop := func(p plugins.DaemonPlugin) error { return k.guarded(func() error { return p.PreStopHook() }) }
	for _, s := range []struct {
		name  string
		steps []func(plugins.DaemonPlugin) error
	}{
		{"PreStopHook without PreStartHook", []func(plugins.DaemonPlugin) error{stop}},
		{"PreStopHook after PreStartHook", []func(plugins.DaemonPlugin) error{start, stop}},
		{"PreStopHook twice", []func(plugins.DaemonPlugin) error{start, stop, stop}},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := instance(t)
			for _, step := range s.steps {
				require.NoError(t, step(p))
			}
		})
	}
	t.Run("PreStopHook beside PreStartHook", func(t *testing.T) {
		for _, later := range besides {
			p := instance(t)
			ended := make(chan error, 1)
			go func() { ended <- start(p) }()
			var started error
			select {
			case started = <-ended:
			case <-time.After(later):
				require.NoError(t, stop(p))
				started = <-ended // which may fail as it is stopped
			}
			if isBroken(started) {
				t.Error(started)
			}
			require.NoError(t, stop(p))
		}
	})
}

// besides is how long a PreStartHook has run when it is stopped.
var besides = []time.Duration{0, 100 * time.Millisecond}

func (k *kit) checkHooks(t *testing.T) {
	k.live(t, func(plugin any) {
		names := []string{}
		byHook := map[string][]call{}
		for _, c := range k.calls(plugin) {
			if byHook[c.hook] == nil {
				names = append(names, c.hook)
			}
			byHook[c.hook] = append(byHook[c.hook], c)
		}
		for _, name := range names {
			t.Run(name, func(t *testing.T) { k.checkHook(t, byHook[name]) })
		}
		if p, ok := plugin.(plugins.ContainerPlugin); ok {
			t.Run("PreStart again", func(t *testing.T) { k.checkStarts(t, p) })
			t.Run("PreUpdate of garbage", func(t *testing.T) { k.checkGarbage(t, p) })
		}
		if undoer, ok := plugin.(plugins.CreateUndoer); ok {
			t.Run("UndoPreCreate", func(t *testing.T) { k.checkUndo(t, plugin.(plugins.ContainerPlugin), undoer) })
		}
		if p, ok := plugin.(plugins.APIPlugin); ok {
			t.Run("UpdateHandler", func(t *testing.T) {
				if _, err := k.routes(p); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// checkHook tries a hook with all its arguments.
func (k *kit) checkHook(t *testing.T, calls []call) {
	var refusals []error
	for i, c := range calls {
		err := k.call(t.Context(), c.try().do)
		switch {
		case err == nil:
		case c.own || isBroken(err) || errors.Is(err, context.DeadlineExceeded):
			t.Errorf("argument %d: %v", i+1, err)
		default:
			refusals = append(refusals, err)
		}
	}
	if len(refusals) == len(calls) {
		t.Errorf("it refuses every argument, so that nothing is tested: give it one of your own that it accepts, as with plugintest.Creates: %v", errors.Join(refusals...))
	}
}

// checkStarts reports a PreStart that adds more at each start.
func (k *kit) checkStarts(t *testing.T, p plugins.ContainerPlugin) {
	for _, a := range k.starts {
		var first started
		for i := range 3 {
			try := preStart(p, a.value)
			if k.call(t.Context(), try.do) != nil {
				break // which checkHook tells
			}
			now := try.left().(started)
			if i == 0 {
				first = now
			} else if was, is := first.counts(), now.counts(); was != is {
				t.Errorf("its changes pile up: the first start has %s, start %d has %s, of one and the same container", was, i+1, is)
				break
			}
		}
	}
}

func (s started) counts() string {
	return fmt.Sprintf("%d variables, %d mounts, %d annotations and %d runtime hooks",
		len(s.Container.Config.Env), len(s.Container.Mounts), len(s.Container.Annotations), len(s.Args))
}

// checkGarbage gives PreUpdate what clients can send.
func (k *kit) checkGarbage(t *testing.T, p plugins.ContainerPlugin) {
	for name, reader := range map[string]io.Reader{
		"nothing": strings.NewReader(""), "half an object": strings.NewReader(`{"Memory":`), "a list": strings.NewReader(`[1]`),
		"null": strings.NewReader(`null`), "wrong types": strings.NewReader(`{"Memory":"much","Env":{"a":1},"RestartPolicy":7}`),
		"a connection that breaks": iotest.ErrReader(io.ErrUnexpectedEOF),
	} {
		err := k.call(t.Context(), func(ctx context.Context) error {
			returned, err := p.PreUpdate(Context(ctx), io.NopCloser(reader))
			if err == nil && returned == nil {
				return breaks("it returned neither a reader nor an error")
			}
			if err == nil {
				_, err = io.Copy(io.Discard, returned)
			}
			return err
		})
		if isBroken(err) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

// checkUndo reports an undo that does not restore the configuration.
func (k *kit) checkUndo(t *testing.T, p plugins.ContainerPlugin, undoer plugins.CreateUndoer) {
	for i, a := range k.creates {
		for _, dryRun := range []bool{false, true} {
			config := fresh(a.value)
			before := text(config)
			in := func(ctx context.Context) context.Context {
				request := plugins.RequestFrom(Context(ctx))
				request.DryRun = dryRun
				return plugins.WithRequest(ctx, request)
			}
			if k.call(t.Context(), func(ctx context.Context) error { return p.PreCreate(in(ctx), config) }) != nil {
				continue // what did not succeed is not undone
			}
			config = fresh(config) // as the daemon does
			if err := k.call(t.Context(), func(ctx context.Context) error { return undoer.UndoPreCreate(in(ctx), config) }); err != nil {
				t.Errorf("argument %d: %v", i+1, err)
			} else if after := text(config); after != before {
				t.Errorf("argument %d: it does not restore what PreCreate changed\nbefore: %s\nafter:  %s", i+1, before, after)
			}
		}
	}
}

// routes returns what UpdateHandler makes of the kit's routes.
func (k *kit) routes(p plugins.APIPlugin) (routes []*types.HandlerSpec, err error) {
	err = k.call(context.Background(), func(ctx context.Context) error {
		routes = p.UpdateHandler(ctx, Routes())
		if err := registry.CheckRoutes(routes); err != nil {
			return broken{err}
		}
		return nil
	})
	return routes, err
}

func (k *kit) checkArguments(t *testing.T) {
	k.live(t, func(plugin any) {
		calls := k.calls(plugin)
		lent := make([]func() error, len(calls))
		for i, c := range calls {
			lent[i] = k.lend(t.Context(), c)
		}
		for i, c := range calls {
			if err := lent[i](); err != nil {
				t.Errorf("%s: %v", c.hook, err)
			}
		}
		if t.Failed() {
			return
		}
		for _, c := range calls {
			try := c.try()
			if err := k.call(t.Context(), try.do); isBroken(err) {
				t.Errorf("%s fails when the arguments of the calls before are overwritten: %v", c.hook, err)
			} else if err == nil && strings.Contains(text(try.left()), mark) {
				t.Errorf("%s: it shares memory with the arguments of earlier calls, which others go on to use: hand out copies\n%s", c.hook, text(try.left()))
			}
		}
	})
}

// lend calls a hook, and overwrites what it lent to it. The result reports what
// the plugin still has of it, and uses.
func (k *kit) lend(ctx context.Context, c call) func() error {
	try := c.try()
	kept := watch(try.args)
	_ = k.call(ctx, try.do)
	if try.ended != nil {
		try.ended()
	}
	overwrite(try.args)
	misused := try.misused
	return func() error {
		err := kept()
		if misused != nil {
			err = errors.Join(err, misused())
		}
		return err
	}
}

// How long a hook may take to notice the end of its context.
const patience = 2 * time.Second

func (k *kit) checkContext(t *testing.T) {
	k.live(t, func(plugin any) {
		calls := k.calls(plugin)
		if undoer, ok := plugin.(plugins.CreateUndoer); ok {
			calls = append(calls, k.undoCalls(plugin.(plugins.ContainerPlugin), undoer)...)
		}
		if p, ok := plugin.(plugins.APIPlugin); ok {
			calls = append(calls, call{hook: "UpdateHandler", try: func() *try {
				return &try{do: func(ctx context.Context) error { p.UpdateHandler(ctx, Routes()); return nil }}
			}})
		}
		deaf := map[string]bool{}
		for _, c := range calls {
			for _, after := range []time.Duration{0, 20 * time.Millisecond} {
				if deaf[c.hook] {
					continue
				}
				err := returns(t.Context(), after, c.try().do)
				if errors.Is(err, errDeaf) {
					deaf[c.hook] = true
				}
				if errors.Is(err, errDeaf) || isBroken(err) && after == 0 {
					t.Errorf("%s: %v", c.hook, err)
				}
			}
		}
	})
}

// undoCalls are those of UndoPreCreate after a PreCreate that succeeded.
func (k *kit) undoCalls(p plugins.ContainerPlugin, undoer plugins.CreateUndoer) (all []call) {
	for _, a := range k.creates {
		all = append(all, call{hook: "UndoPreCreate", try: func() *try {
			config := fresh(a.value)
			created := k.call(context.Background(), func(ctx context.Context) error { return p.PreCreate(Context(ctx), config) })
			return &try{do: func(ctx context.Context) error {
				if created != nil {
					return created
				}
				return undoer.UndoPreCreate(Context(ctx), config)
			}}
		}})
	}
	return all
}

var errDeaf = fmt.Errorf("it has not returned %v after its context ended: pass the context on to all that waits", patience)

// returns calls a hook with a context that ends after a while, and reports one
// that does not notice. What else the hook says is not its concern, but panics.
func returns(ctx context.Context, after time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if after == 0 {
		cancel()
	}
	end := time.AfterFunc(after, cancel)
	defer end.Stop()
	outcome := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				outcome <- breaks("panic: %v", v)
			}
		}()
		outcome <- do(ctx)
	}()
	select {
	case err := <-outcome:
		return err
	case <-time.After(after + patience):
		return errDeaf
	}
}

// How often the hooks are called in parallel, and how long a request may take.
const (
	callers = 8
	rounds  = 4

	requestTime = 100 * time.Millisecond
)

func (k *kit) checkParallel(t *testing.T) {
	k.live(t, func(plugin any) {
		calls := k.calls(plugin)
		if p, ok := plugin.(plugins.APIPlugin); ok {
			routes, err := k.routes(p)
			if err != nil {
				return // which checkHooks tells
			}
			calls = append(calls, requests(routes)...)
		}
		// Contexts with one parent that ends meet at its lock, which would
		// hide from the race detector that the plugin has none.
		ctx := context.WithoutCancel(t.Context())
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range callers {
			all.Go(func() {
				<-begin
				for range rounds {
					for _, c := range calls {
						if err := k.call(ctx, c.try().do); isBroken(err) || c.own && err != nil {
							t.Errorf("%s, called in parallel: %v", c.hook, err)
							return
						}
					}
				}
			})
		}
		close(begin)
		all.Wait()
	})
}

var variable = regexp.MustCompile(`\{(\w+)(:\.\*)?\}`)

// requests are calls of the routes that change nothing.
func requests(routes []*types.HandlerSpec) (all []call) {
	for _, r := range routes {
		if r.Method != "GET" {
			continue
		}
		all = append(all, call{hook: "the handler of GET " + r.Path, try: func() *try {
			return &try{do: func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, requestTime) // some go on until the client is gone
				defer cancel()
				req := httptest.NewRequestWithContext(ctx, r.Method, variable.ReplaceAllString(r.Path, "web"), nil)
				for _, name := range variable.FindAllStringSubmatch(r.Path, -1) {
					req.SetPathValue(name[1], "web")
				}
				return r.HandlerFunc(ctx, httptest.NewRecorder(), req)
			}}
		}})
	}
	return all
}

func (k *kit) checkLeaks(t *testing.T) {
	before := takeTraces()
	k.live(t, func(plugin any) {
		for _, c := range k.calls(plugin) {
			_ = k.call(t.Context(), c.try().do)
		}
		if p, ok := plugin.(plugins.APIPlugin); ok {
			_, _ = k.routes(p)
		}
	})
	if err := before.left(); err != nil {
		t.Errorf("at the end of a daemon's life %v\nend it in PreStopHook, or when the hook returns", err)
	}
}
