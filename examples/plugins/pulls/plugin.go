// Package pulls is an example of a plugin of two kinds: as an image plugin it
// notes every image that was pulled, as an API plugin it adds a route that
// shows the notes.
package pulls

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("pulls", New)

// Pull is one image that was pulled.
type Pull struct {
	Name        string `json:"name"`
	Digest      string `json:"digest"`
	Snapshotter string `json:"snapshotter"`
	// Size is what the image takes, packed, in bytes.
	Size int64 `json:"size"`
}

// Plugin keeps the newest notes.
type Plugin struct {
	mu    sync.Mutex
	pulls []Pull
}

// keep is how many notes are kept.
const keep = 100

// New returns the plugin. It needs nothing.
func New(struct{}) (*Plugin, error) { return &Plugin{}, nil }

// PostPull notes the image. An error here would make the pull fail, and the
// image's name would not stay.
func (p *Plugin) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	size, err := image.Size(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell the size of %s: %w", image.Name(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pulls = append(p.pulls, Pull{image.Name(), image.Target().Digest.String(), snapshotter, size})
	p.pulls = p.pulls[max(0, len(p.pulls)-keep):]
	return nil
}

// UpdateHandler adds the route.
func (p *Plugin) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	return append(routes, types.NewHandlerSpec(http.MethodGet, "/example/pulls", p.list))
}

func (p *Plugin) list(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	p.mu.Lock()
	pulls := slices.Clone(p.pulls)
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(pulls)
}
