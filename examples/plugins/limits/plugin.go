// Package limits is an example of a container plugin: it bounds the memory of
// containers, tells each of them in its environment, and leaves notes in their
// root file systems when they are started and updated.
package limits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("limits", New, plugins.Priority(50),
	plugins.Defaults(Config{Memory: 256 << 20, Most: 1 << 30}))

// Config is the section plugins.limits of the configuration file.
type Config struct {
	// Memory is the limit of a container that asks for none.
	Memory Bytes `yaml:"memory"`
	// Most is the highest limit that an update may set.
	Most Bytes `yaml:"most"`
}

// Bytes is a size, in the configuration "64m".
type Bytes int64

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a size: write 512k, 64m or 1g", text)
	}
	*b = Bytes(n)
	return nil
}

// Plugin bounds memory. Hooks that it does not need are those of the base.
type Plugin struct {
	plugins.ContainerBase
	config Config
}

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{config: c}, nil }

// PreCreate sets the limit and tells the container about it.
func (p *Plugin) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	if c.HostConfig.Memory == 0 {
		c.HostConfig.Memory = int64(p.config.Memory)
	}
	c.Env = append(c.Env, "MEMORY_LIMIT="+units.BytesSize(float64(c.HostConfig.Memory)))
	return nil
}

// StartNote is what the runtime hook leaves: the container's state, as the
// runtime tells it to its hooks.
const StartNote = ".limits-started"

// leaveNote is a shell script. It makes a new file, for an image could bring a
// link of that name that leads to a file of the host.
const leaveNote = `rm -f "$1" && set -C && cat > "$1"`

// PreStart asks for a runtime hook, before the network is set up.
func (p *Plugin) PreStart(_ context.Context, container interface{}) ([]int, [][]string, error) {
	c := container.(*types.Container)
	return []int{10}, [][]string{{"/bin/sh", "sh", "-c", leaveNote, "limits", c.BaseFS + "/" + StartNote}}, nil
}

// PreUpdate lowers a limit that is too high in the body of the request.
func (p *Plugin) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	var update map[string]any
	decoder := json.NewDecoder(body)
	decoder.UseNumber() // what is not changed stays as it was
	if err := decoder.Decode(&update); err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("the update is not JSON: " + err.Error())
	}
	memory, _ := update["Memory"].(json.Number)
	if n, _ := memory.Int64(); n > int64(p.config.Most) {
		update["Memory"] = p.config.Most
	}
	changed, err := json.Marshal(update)
	return io.NopCloser(bytes.NewReader(changed)), err
}

// UpdateNote is what PostUpdate leaves.
const UpdateNote = ".limits-updated"

// PostUpdate leaves a note in the container. Nothing in there leads it astray:
// the root file system is opened as a root.
func (p *Plugin) PostUpdate(_ context.Context, rootfs string, _ []string) error {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return fmt.Errorf("cannot open the container's root file system: %w", err)
	}
	defer root.Close()
	if err := root.Remove(UpdateNote); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(UpdateNote, []byte("updated\n"), 0o644)
}
