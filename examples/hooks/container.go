package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Limits gives every container a limit, and refuses those that are privileged.
type Limits struct{ plugins.ContainerBase }

// LimitsModule makes it part of a daemon.
var LimitsModule = plugins.Provide("limits", NewLimits, plugins.Priority(50))

// NewLimits needs nothing.
func NewLimits(struct{}) (*Limits, error) { return &Limits{}, nil }

// PreCreate is the first step of every create.
func (*Limits) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	who := plugins.RequestFrom(ctx)
	if c.HostConfig.Privileged {
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("container %q of %s: privileged containers are not allowed here", who.Name, who.RemoteUser))
	}
	if c.HostConfig.Memory == 0 {
		c.HostConfig.Memory = 256 << 20
	}
	return nil
}

// PreUpdate lowers a limit that is too high. The body comes from a client: it
// may be anything.
func (*Limits) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	var update map[string]json.RawMessage // what this plugin does not know stays as it is
	if err := json.NewDecoder(body).Decode(&update); err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("the update is not a JSON object: " + err.Error())
	}
	var memory int64
	if raw, given := update["Memory"]; given {
		if err := json.Unmarshal(raw, &memory); err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage("Memory: " + err.Error())
		}
	}
	if memory > 1<<30 {
		update["Memory"] = json.RawMessage("1073741824")
	}
	changed, err := json.Marshal(update)
	return io.NopCloser(bytes.NewReader(changed)), err
}

// Scratch gives each container a folder on the host for as long as it exists.
type Scratch struct {
	plugins.ContainerBase
	dir string
}

// ScratchModule makes it part of a daemon.
var ScratchModule = plugins.Provide("scratch", NewScratch, plugins.Defaults(ScratchConfig{Dir: os.TempDir()}))

// ScratchConfig is the section plugins.scratch of the configuration file.
type ScratchConfig struct {
	Dir string `yaml:"dir"`
}

// NewScratch makes no folder yet.
func NewScratch(c ScratchConfig) (*Scratch, error) { return &Scratch{dir: c.Dir}, nil }

// PreCreate makes the folder and binds it.
func (s *Scratch) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if plugins.RequestFrom(ctx).DryRun {
		c.HostConfig.Binds = append(c.HostConfig.Binds, filepath.Join(s.dir, "scratch")+":/scratch")
		return nil
	}
	dir, err := os.MkdirTemp(s.dir, "scratch")
	if err != nil {
		return err
	}
	c.HostConfig.Binds = append(c.HostConfig.Binds, dir+":/scratch")
	return nil
}

// UndoPreCreate is called when the create fails later on, or was only a dry
// run. It undoes all of PreCreate, in the configuration too.
func (s *Scratch) UndoPreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	last := len(c.HostConfig.Binds) - 1
	if last < 0 {
		return errors.New("the folder's bind is gone")
	}
	dir, _, _ := strings.Cut(c.HostConfig.Binds[last], ":")
	c.HostConfig.Binds = c.HostConfig.Binds[:last]
	if last == 0 {
		c.HostConfig.Binds = nil
	}
	if plugins.RequestFrom(ctx).DryRun {
		return nil
	}
	return os.Remove(dir)
}

// Tracer runs a program before the container's network exists, and one after.
type Tracer struct{ plugins.ContainerBase }

// TracerModule makes it part of a daemon.
var TracerModule = plugins.Provide("tracer", NewTracer, plugins.After("limits"))

// NewTracer needs nothing.
func NewTracer(struct{}) (*Tracer, error) { return &Tracer{}, nil }

// PreStart is called at every start. What it changes reaches this start only.
func (*Tracer) PreStart(_ context.Context, container interface{}) ([]int, [][]string, error) {
	c := container.(*types.Container)
	c.Config.Env = append(c.Config.Env, "TRACE_ID="+c.ID[:12])
	priorities := []int{10, -10} // setting up the network is 0
	args := [][]string{
		{"/bin/sh", "sh", "-c", "logger before the network of " + c.Name + " || true"}, // path, then argv with argv[0]
		{"/bin/true"}, // the path alone is an argv, too
	}
	return priorities, args, nil
}

// Uplink makes one network the way out.
type Uplink struct{ plugins.ContainerBase }

// UplinkModule makes it part of a daemon.
var UplinkModule = plugins.Provide("way-out", NewUplink)

// NewUplink needs nothing.
func NewUplink(struct{}) (*Uplink, error) { return &Uplink{}, nil }

// PreCreateEndpoint is called for each network when an endpoint is made.
func (*Uplink) PreCreateEndpoint(_ context.Context, id string, env []string, e *networktypes.Endpoint) error {
	if e.Network == "front" && e.Priority == 0 {
		e.Priority = 100 // the biggest holds the default gateway
	}
	e.EndpointConfig.Aliases = append(e.EndpointConfig.Aliases, id[:12])
	return nil
}

// Notes leaves a note in containers that were updated.
type Notes struct{ plugins.ContainerBase }

// NotesModule makes it part of a daemon.
var NotesModule = plugins.Provide("notes", NewNotes)

// NewNotes needs nothing.
func NewNotes(struct{}) (*Notes, error) { return &Notes{}, nil }

// PostUpdate gets a root file system that may be hostile: os.Root keeps links
// in it from leading out of it.
func (*Notes) PostUpdate(_ context.Context, rootfs string, env []string) error {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(".updated"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(".updated", []byte(strings.Join(env, "\n")), 0o600)
}
