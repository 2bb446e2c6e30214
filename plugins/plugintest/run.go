package plugintest

import (
	"slices"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Option says more about the plugin under test.
type Option func(*kit)

// Config is the plugin's section of the configuration file, in YAML. It is
// decoded as a daemon decodes it.
func Config(section string) Option { return func(k *kit) { k.section = section } }

// Supply gives the constructor what it asks for, each value by its own type.
func Supply(values ...any) Option {
	return func(k *kit) { k.supplied = append(k.supplied, values...) }
}

// Creates adds arguments of PreCreate and PreCreateContainer, which the plugin
// must accept. It may refuse the kit's own, but not all of them; so it is with
// the other options that add arguments.
func Creates(configs ...*types.ContainerCreateConfig) Option {
	return func(k *kit) { k.creates = own(k.creates, configs) }
}

// Starts adds arguments of PreStart.
func Starts(containers ...*types.Container) Option {
	return func(k *kit) { k.starts = own(k.starts, containers) }
}

// Endpoints adds arguments of PreCreateEndpoint.
func Endpoints(endpoints ...*networktypes.Endpoint) Option {
	return func(k *kit) { k.endpoints = own(k.endpoints, endpoints) }
}

// Updates adds bodies of updates, in JSON, as arguments of PreUpdate.
func Updates(bodies ...string) Option {
	return func(k *kit) { k.updates = own(k.updates, bodies) }
}

// Sandboxes adds pods to the arguments of PreCreateContainer.
func Sandboxes(pods ...*types.SandboxMeta) Option {
	return func(k *kit) { k.sandboxes = own(k.sandboxes, pods) }
}

// Images adds arguments of PostPull.
func Images(images ...containerd.Image) Option {
	return func(k *kit) { k.images = own(k.images, images) }
}

// Volumes adds arguments of PreVolumeCreate.
func Volumes(configs ...*types.VolumeCreateConfig) Option {
	return func(k *kit) { k.volumes = own(k.volumes, configs) }
}

// argument is one of those that a hook is tried with.
type argument[T any] struct {
	value T
	own   bool // it is the author's: the plugin must accept it
}

func own[T any](list []argument[T], values []T) []argument[T] {
	for _, v := range values {
		list = append(list, argument[T]{v, true})
	}
	return list
}

// Run checks that a plugin of any kinds keeps what the contract of the hooks
// promises and expects:
//
//   - The constructor succeeds, and does no I/O. It is seen to leave goroutines
//     or file descriptors, to open anything (a file, a socket, a process) and
//     to write into the working, home or temporary directory. An error of
//     opening that the constructor swallows is not seen, nor what opens
//     nothing, such as stat and remove.
//   - PreStartHook succeeds. PreStopHook is safe without it, after it, twice,
//     and beside it.
//   - Each hook accepts typical arguments, with maps and slices that are nil
//     as well, returns within the plugin's timeout, and does not panic.
//   - PreCreate leaves HostConfig and NetworkingConfig. UndoPreCreate restores
//     the configuration byte for byte, of a dry run too.
//   - PreStart changes nothing but Env, Mounts and Annotations, does not add
//     more from start to start, and returns runtime hooks that can run.
//   - PreUpdate returns a reader with a JSON object in it, and survives bodies
//     that hold none.
//   - UpdateHandler returns routes that can be served.
//   - Each hook returns soon when its context ends, and when it has ended.
//   - No hook keeps its argument, nor hands out memory that it goes on to use.
//   - Hooks, and the GET routes that the plugin adds, may be called in
//     parallel. Run the tests with -race to have this checked in earnest.
//   - Nothing is left at the end: no goroutine, no file descriptor.
//
// They are tests of their own below t; where the plugin fails one of the first,
// those after it are left out. Run changes the environment of
// the process, so t cannot be parallel.
func Run(t *testing.T, module *plugins.Provided, opts ...Option) {
	t.Helper()
	k := &kit{module: module}
	for _, o := range opts {
		o(k)
	}
	if err := k.prepare(t); err != nil {
		t.Fatal(err)
	}
	checks := []struct {
		name  string
		check func(*testing.T)
		first bool
	}{
		{"constructor", k.checkConstructor, true},
		{"start and stop", k.checkStartAndStop, true},
		{"hooks", k.checkHooks, true},
		{"context", k.checkContext, true},
		{"arguments", k.checkArguments, false},
		{"parallel", k.checkParallel, false},
		{"leaks", k.checkLeaks, false},
	}
	for _, c := range checks {
		if c.name == "start and stop" && !slices.Contains(module.Kinds, plugins.KindDaemon) {
			continue
		}
		if !t.Run(c.name, c.check) && c.first {
			return // all others would tell the same again
		}
	}
}
