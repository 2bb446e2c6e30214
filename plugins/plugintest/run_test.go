package plugintest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/types"
)

// broken is a plugin of all kinds whose hooks are what a case says.
type broken struct {
	create    func(context.Context, *types.ContainerCreateConfig) error
	undo      func(context.Context, *types.ContainerCreateConfig) error
	start     func(context.Context, *types.Container) ([]int, [][]string, error)
	endpoint  func(context.Context, []string, *networktypes.Endpoint) error
	update    func(context.Context, io.ReadCloser) (io.ReadCloser, error)
	updated   func(context.Context, string, []string) error
	cri       func(context.Context, *types.ContainerCreateConfig, *types.SandboxMeta) error
	up, down  func() error
	pulled    func(context.Context, string, containerd.Image) error
	volume    func(context.Context, *types.VolumeCreateConfig) error
	routes    func([]*types.HandlerSpec) []*types.HandlerSpec
	construct func() error
}

func (b *broken) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if b.create == nil {
		return nil
	}
	return b.create(ctx, c)
}

func (b *broken) UndoPreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if b.undo == nil {
		return nil
	}
	return b.undo(ctx, c)
}

func (b *broken) PreStart(ctx context.Context, c interface{}) ([]int, [][]string, error) {
	if b.start == nil {
		return nil, nil, nil
	}
	return b.start(ctx, c.(*types.Container))
}

func (b *broken) PreCreateEndpoint(ctx context.Context, _ string, env []string, e *networktypes.Endpoint) error {
	if b.endpoint == nil {
		return nil
	}
	return b.endpoint(ctx, env, e)
}

func (b *broken) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	if b.update == nil {
		return body, nil
	}
	return b.update(ctx, body)
}

func (b *broken) PostUpdate(ctx context.Context, rootfs string, env []string) error {
	if b.updated == nil {
		return nil
	}
	return b.updated(ctx, rootfs, env)
}

func (b *broken) PreCreateContainer(ctx context.Context, c *types.ContainerCreateConfig, pod interface{}) error {
	if b.cri == nil {
		return nil
	}
	return b.cri(ctx, c, pod.(*types.SandboxMeta))
}

func (b *broken) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	if b.pulled == nil {
		return nil
	}
	return b.pulled(ctx, snapshotter, image)
}

func (b *broken) PreVolumeCreate(ctx context.Context, v *types.VolumeCreateConfig) error {
	if b.volume == nil {
		return nil
	}
	return b.volume(ctx, v)
}

func (b *broken) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	if b.routes == nil {
		return routes
	}
	return b.routes(routes)
}

func (b *broken) PreStartHook() error {
	if b.up == nil {
		return nil
	}
	return b.up()
}

func (b *broken) PreStopHook() error {
	if b.down == nil {
		return nil
	}
	return b.down()
}

// module provides what a case makes.
func module(make func() *broken, opts ...plugins.Option) *plugins.Provided {
	return plugins.Provide("broken", func(struct{}) (*broken, error) {
		b := make()
		if b.construct != nil {
			if err := b.construct(); err != nil {
				return nil, err
			}
		}
		return b, nil
	}, append(opts, plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Timeout = 3 * time.Second }))...)
}

// misbehaviour is a plugin that breaks a promise, and what the kit says of it.
type misbehaviour struct {
	plugin func() *broken
	check  string // the test that fails
	says   string
}

var misbehaviours = map[string]misbehaviour{
	"constructor fails": {func() *broken {
		return &broken{construct: func() error { return fmt.Errorf("no licence") }}
	}, "constructor", "no licence"},
	"constructor starts a goroutine": {func() *broken {
		return &broken{construct: func() error { go func() { select {} }(); return nil }}
	}, "constructor", "it leaves goroutines"},
	"constructor leaves a file open": {func() *broken {
		return &broken{construct: func() error {
			f, err := os.Open("/proc/self/status")
			open = append(open, f)
			return err
		}}
	}, "constructor", "it leaves file descriptors"},
	"constructor writes a file": {func() *broken {
		return &broken{construct: func() error { return os.Mkdir(fmt.Sprint("cache-", time.Now().UnixNano()), 0o755) }}
	}, "constructor", "the constructor writes files: cache-"},
	"constructor reads a file": {func() *broken {
		return &broken{construct: func() error { _, err := os.ReadFile("/proc/self/status"); return err }}
	}, "constructor", "the constructor opens something: "},
	"constructor dials": {func() *broken {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		return &broken{construct: func() error {
			if err != nil {
				return err
			}
			defer l.Close()
			c, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				c.Close()
			}
			return err
		}}
	}, "constructor", "the constructor opens something: "},

	"start fails": {func() *broken {
		return &broken{up: func() error { return fmt.Errorf("no helper") }}
	}, "start and stop/PreStopHook after PreStartHook", "no helper"},
	"stop needs a start": {func() *broken {
		var started chan struct{}
		return &broken{up: func() error { started = make(chan struct{}, 9); return nil }, down: func() error { started <- struct{}{}; close(started); return nil }}
	}, "start and stop/PreStopHook without PreStartHook", "no answer within 3s"},
	"stop works once": {func() *broken {
		started := make(chan struct{})
		return &broken{down: func() error { close(started); return nil }}
	}, "start and stop/PreStopHook twice", "close of closed channel"},
	"stop beside start": {func() *broken {
		var mu sync.Mutex
		return &broken{up: func() error { mu.Lock(); time.Sleep(time.Second); mu.Unlock(); return nil }, down: func() error {
			if !mu.TryLock() {
				return fmt.Errorf("busy")
			}
			mu.Unlock()
			return nil
		}}
	}, "start and stop/PreStopHook beside PreStartHook", "busy"},

	"a hook panics": {func() *broken {
		return &broken{create: func(_ context.Context, c *types.ContainerCreateConfig) error { c.Labels["x"] = "y"; return nil }}
	}, "hooks/PreCreate", "assignment to entry in nil map"},
	"a hook never returns": {func() *broken {
		return &broken{volume: func(context.Context, *types.VolumeCreateConfig) error { select {} }}
	}, "hooks/PreVolumeCreate", "no answer within 3s"},
	"a hook refuses all": {func() *broken {
		return &broken{pulled: func(context.Context, string, containerd.Image) error { return errdefs.ErrPermissionDenied }}
	}, "hooks/PostPull", "it refuses every argument"},
	"PreCreate takes HostConfig away": {func() *broken {
		return &broken{create: func(_ context.Context, c *types.ContainerCreateConfig) error { c.HostConfig = nil; return nil }}
	}, "hooks/PreCreate", "it set HostConfig to nil"},
	"PreCreateContainer takes NetworkingConfig away": {func() *broken {
		return &broken{cri: func(_ context.Context, c *types.ContainerCreateConfig, _ *types.SandboxMeta) error {
			c.NetworkingConfig = nil
			return nil
		}}
	}, "hooks/PreCreateContainer", "it set NetworkingConfig to nil"},
	"PreCreateEndpoint takes EndpointConfig away": {func() *broken {
		return &broken{endpoint: func(_ context.Context, _ []string, e *networktypes.Endpoint) error {
			e.EndpointConfig = nil
			return nil
		}}
	}, "hooks/PreCreateEndpoint", "it set EndpointConfig to nil"},

	"PreStart takes Config away": {func() *broken {
		return &broken{start: func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
			c.Config = nil
			return nil, nil, nil
		}}
	}, "hooks/PreStart", "it set Config or HostConfig to nil"},
	"PreStart changes what reaches nobody": {func() *broken {
		return &broken{start: func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
			c.HostConfig.Memory = 1 << 30
			return nil, nil, nil
		}}
	}, "hooks/PreStart", "it changed what reaches nobody"},
	"PreStart returns unequal lists": {func() *broken {
		return &broken{start: func(context.Context, *types.Container) ([]int, [][]string, error) {
			return []int{1, 2}, [][]string{{"/bin/sh"}}, nil
		}}
	}, "hooks/PreStart", "2 priorities for 1 runtime hooks"},
	"PreStart returns a relative path": {func() *broken {
		return &broken{start: func(context.Context, *types.Container) ([]int, [][]string, error) {
			return []int{1}, [][]string{{"sh", "-c", "true"}}, nil
		}}
	}, "hooks/PreStart", `the path "sh" is relative`},
	"PreStart piles up": {func() *broken {
		var env []string
		return &broken{start: func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
			env = append(env, "STARTED=1")
			c.Config.Env = append(c.Config.Env, env...)
			return nil, nil, nil
		}}
	}, "hooks/PreStart again", "its changes pile up"},

	"undo forgets": {func() *broken {
		return &broken{create: func(_ context.Context, c *types.ContainerCreateConfig) error {
			c.HostConfig.Memory, c.Env = 1<<20, append(c.Env, "A=1")
			return nil
		}, undo: func(_ context.Context, c *types.ContainerCreateConfig) error {
			c.Env = c.Env[:len(c.Env)-1]
			return nil
		}}
	}, "hooks/UndoPreCreate", "it does not restore what PreCreate changed"},
	"undo fails": {func() *broken {
		return &broken{undo: func(context.Context, *types.ContainerCreateConfig) error { return fmt.Errorf("cannot undo") }}
	}, "hooks/UndoPreCreate", "cannot undo"},

	"PreUpdate returns nil": {func() *broken {
		return &broken{update: func(context.Context, io.ReadCloser) (io.ReadCloser, error) { return nil, nil }}
	}, "hooks/PreUpdate", "it returned a nil reader"},
	"PreUpdate returns what was read": {func() *broken {
		return &broken{update: func(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
			_, err := io.Copy(io.Discard, body)
			return body, err
		}}
	}, "hooks/PreUpdate", "the body that it returned is no update"},
	"PreUpdate trusts clients": {func() *broken {
		return &broken{update: func(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
			var update map[string]any
			if err := json.NewDecoder(body).Decode(&update); err != nil {
				return nil, err
			}
			if memory, given := update["Memory"]; given {
				update["Memory"] = memory.(float64) / 2
			}
			changed, err := json.Marshal(update)
			return io.NopCloser(bytes.NewReader(changed)), err
		}}
	}, "hooks/PreUpdate of garbage", "with wrong types: panic: interface conversion"},
	"PreUpdate reads later": {func() *broken {
		return &broken{update: func(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
			go func() {
				for range 1000 {
					_, _ = body.Read(make([]byte, 1))
					time.Sleep(time.Millisecond)
				}
			}()
			return io.NopCloser(strings.NewReader("{}")), nil
		}}
	}, "arguments", "it went on to read the body after it had returned"},

	"UpdateHandler adds a route twice": {func() *broken {
		return &broken{routes: func(routes []*types.HandlerSpec) []*types.HandlerSpec {
			return append(routes, types.NewHandlerSpec("GET", "/version", answer))
		}}
	}, "hooks/UpdateHandler", "there is GET /version already"},
	"UpdateHandler adds no handler": {func() *broken {
		return &broken{routes: func(routes []*types.HandlerSpec) []*types.HandlerSpec {
			return append(routes, types.NewHandlerSpec("GET", "/mine", nil))
		}}
	}, "hooks/UpdateHandler", "it has no handler"},

	"an argument is kept": {func() *broken {
		var last *types.ContainerCreateConfig
		return &broken{create: func(_ context.Context, c *types.ContainerCreateConfig) error { last = c; _ = last; return nil }}
	}, "arguments", "it keeps *types.ContainerCreateConfig"},
	"a map of an argument is kept": {func() *broken {
		var last map[string]string
		return &broken{volume: func(_ context.Context, v *types.VolumeCreateConfig) error {
			if v.Labels != nil {
				last = v.Labels
			}
			_ = last
			return nil
		}}
	}, "arguments", "Labels, which is its own only until it returns"},
	"the env is kept": {func() *broken {
		var last []string
		return &broken{updated: func(_ context.Context, _ string, env []string) error {
			if len(env) > 0 {
				last = env
			}
			_ = last
			return nil
		}}
	}, "arguments", "it keeps []string"},
	"memory of its own is handed out": {func() *broken {
		labels := map[string]string{"team": "blue"}
		return &broken{volume: func(_ context.Context, v *types.VolumeCreateConfig) error { v.Labels = labels; return nil }}
	}, "arguments", "it shares memory with the arguments of earlier calls"},

	"a hook waits for ever": {func() *broken {
		return &broken{endpoint: func(context.Context, []string, *networktypes.Endpoint) error {
			time.Sleep(2500 * time.Millisecond)
			return nil
		}}
	}, "context", "it has not returned 2s after its context ended"},

	"a map without a lock": {func() *broken {
		seen := map[string]int{}
		return &broken{volume: func(_ context.Context, v *types.VolumeCreateConfig) error {
			seen[v.Name]++
			return nil
		}}
	}, "parallel", ""},
	"a handler without a lock": {func() *broken {
		seen := map[string]int{}
		return &broken{routes: func(routes []*types.HandlerSpec) []*types.HandlerSpec {
			return append(routes, types.NewHandlerSpec("GET", "/mine/{name}", func(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
				seen[r.PathValue("name")]++
				return nil
			}))
		}}
	}, "parallel", ""},

	"a goroutine is left": {func() *broken {
		return &broken{pulled: func(context.Context, string, containerd.Image) error { go func() { select {} }(); return nil }}
	}, "leaks", "it leaves goroutines"},
	"a helper is left": {func() *broken {
		return &broken{up: func() error { go func() { select {} }(); return nil }}
	}, "leaks", "it leaves goroutines"},
	"a file is left": {func() *broken {
		return &broken{up: func() error {
			f, err := os.Open("/proc/self/status")
			open = append(open, f)
			return err
		}}
	}, "leaks", "it leaves file descriptors"},
}

// open keeps files from being closed by the collector.
var open []*os.File

func answer(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	_, err := io.WriteString(w, "{}")
	return err
}

// caseVariable names the misbehaviour that this process is to test.
const caseVariable = "PLUGINTEST_MISBEHAVIOUR"

func TestMisbehaviour(t *testing.T) {
	m, ok := misbehaviours[os.Getenv(caseVariable)]
	if !ok {
		t.Skip("run by TestEveryBrokenPromiseIsSeen")
	}
	plugintest.Run(t, module(m.plugin))
}

// Each plugin is tested in a process of its own, which fails.
func TestEveryBrokenPromiseIsSeen(t *testing.T) {
	for name, m := range misbehaviours {
		if m.check == "parallel" && !raceEnabled {
			continue // a race is seen for sure with the detector only, with which make test runs this
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestMisbehaviour$", "-test.v")
			child.Env = append(os.Environ(), caseVariable+"="+name)
			out, err := child.CombinedOutput()
			sign := "--- FAIL: TestMisbehaviour/" + strings.ReplaceAll(m.check, " ", "_") + " "
			if m.check == "parallel" {
				sign = "DATA RACE"
			}
			if err == nil || !strings.Contains(string(out), m.says) || !strings.Contains(string(out), sign) {
				t.Errorf("want %q and %q in\n%s", sign, m.says, out)
			}
		})
	}
}

// well is a plugin of all kinds that behaves, and does much.
func well() *broken {
	var mu sync.Mutex
	var pulls []string
	stop := make(chan struct{})
	var once sync.Once
	return &broken{
		up:   func() error { go func() { <-stop }(); return nil },
		down: func() error { once.Do(func() { close(stop) }); return nil },
		create: func(_ context.Context, c *types.ContainerCreateConfig) error {
			c.Env = append(c.Env, "SEEN=1")
			return nil
		},
		undo: func(_ context.Context, c *types.ContainerCreateConfig) error {
			if c.Env = c.Env[:len(c.Env)-1]; len(c.Env) == 0 {
				c.Env = nil
			}
			return nil
		},
		start: func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
			c.Config.Env = append(c.Config.Env, "STARTED=1")
			c.Annotations["seen"] = "1"
			return []int{1, -1}, [][]string{{"/bin/sh"}, {"/bin/sh", "sh", "-c", "true"}}, nil
		},
		endpoint: func(_ context.Context, env []string, e *networktypes.Endpoint) error {
			e.DNSSearch = append(e.DNSSearch, slices.Clone(env)...)
			return nil
		},
		update: func(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
			var update map[string]any
			if err := json.NewDecoder(body).Decode(&update); err != nil {
				return nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
			}
			if update == nil {
				update = map[string]any{}
			}
			update["Memory"] = 1 << 20
			changed, err := json.Marshal(update)
			return io.NopCloser(bytes.NewReader(changed)), err
		},
		updated: func(_ context.Context, rootfs string, _ []string) error {
			_, err := os.Stat(rootfs + "/etc/passwd")
			return err
		},
		cri: func(ctx context.Context, c *types.ContainerCreateConfig, pod *types.SandboxMeta) error {
			if plugins.RequestFrom(ctx).FrontEnd != plugins.FrontEndCRI {
				return fmt.Errorf("not of CRI")
			}
			if pod.Name == "bare" {
				return errdefs.ErrPermissionDenied // some may be refused
			}
			c.Env = append(c.Env, "POD="+pod.Name)
			return nil
		},
		pulled: func(ctx context.Context, snapshotter string, image containerd.Image) error {
			unpacked, err := image.IsUnpacked(ctx, snapshotter)
			if err != nil || !unpacked {
				return fmt.Errorf("not unpacked: %w", err)
			}
			if _, err := image.Size(ctx); err != nil {
				return err
			}
			spec, err := image.Spec(ctx)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			pulls = append(pulls, spec.Config.Cmd...)
			return nil
		},
		volume: func(_ context.Context, v *types.VolumeCreateConfig) error {
			if v.Labels == nil {
				v.Labels = map[string]string{}
			}
			v.Labels["seen"] = "1"
			return nil
		},
		routes: func(routes []*types.HandlerSpec) []*types.HandlerSpec {
			return append(routes, types.NewHandlerSpec("GET", "/mine/{name:.*}", func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
				mu.Lock()
				defer mu.Unlock()
				if r.PathValue("name") != "web" {
					return fmt.Errorf("no name")
				}
				return json.NewEncoder(w).Encode(pulls)
			}))
		},
	}
}

func TestAPluginThatBehavesPasses(t *testing.T) {
	plugintest.Run(t, module(well),
		plugintest.Creates(plugintest.CreateConfig()), plugintest.Starts(plugintest.Container()), plugintest.Endpoints(plugintest.Endpoint()),
		plugintest.Updates(`{"CpuShares":512}`), plugintest.Sandboxes(plugintest.SandboxMeta()), plugintest.Images(plugintest.Image(t)),
		plugintest.Volumes(plugintest.VolumeConfig()))
}

// needy asks its daemon for something, and for its section.
type needy struct{ plugins.ContainerBase }

type section struct {
	Size int `yaml:"size"`
}

type port int

func TestTheConstructorGetsWhatItAsksFor(t *testing.T) {
	got := make(map[string]int)
	type params struct {
		plugins.In
		Config section
		Port   port
	}
	plugintest.Run(t, plugins.Provide("needy", func(p params) (*needy, error) {
		got["size"], got["port"] = p.Config.Size, int(p.Port)
		return &needy{}, nil
	}, plugins.Defaults(section{Size: 1}), plugins.WhenConfigured()), plugintest.Supply(port(7)), plugintest.Config("size: 3\npolicy: {timeout: 1s}\n"))
	assert.Equal(t, map[string]int{"size": 3, "port": 7}, got)
}

func TestAPluginThatWaitsForItsSectionGetsOne(t *testing.T) {
	constructed := false
	plugintest.Run(t, plugins.Provide("waiting", func(c section) (*needy, error) {
		constructed = true
		return &needy{}, nil
	}, plugins.Defaults(section{}), plugins.WhenConfigured()))
	assert.True(t, constructed)
}
