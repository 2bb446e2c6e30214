package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corecontainers "github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/types"
)

const (
	extension    = "pouchfx"
	recordURL    = "pouchfx/v1/Container"
	labelName    = "pouchfx/name"
	labelImageID = "pouchfx/image-id"
)

// record is what is kept of a container. A published record is not changed:
// it is replaced as a whole.
type record struct {
	Name string
	// Image is the reference as the client gave it.
	Image    string
	ImageID  digest.Digest
	Platform string // operating system
	Created  time.Time
	// Config is the client's, over the image's, after the hooks.
	Config           types.ContainerConfig
	HostConfig       types.HostConfig
	NetworkingConfig types.NetworkingConfig
	Mounts           []mountspec.Mount
	Snapshotter      string
	State            state
	// Removing is set once a removal has begun that cannot be taken back: the
	// next start of the daemon finishes it.
	Removing bool `json:",omitempty"`
}

// state is how a container's life went.
type state struct {
	// Started is set while the container runs, or would but for the daemon
	// not knowing yet that it ended.
	Started               bool
	StartedAt, FinishedAt time.Time
	ExitCode              int
	// Error is why it could not be started.
	Error     string
	OOMKilled bool
	// RestartCount counts the restarts of the policy.
	RestartCount int
	// Quick is how many restarts in a row followed runs that did not last.
	Quick int `json:",omitempty"`
	// Health is that of the last run, once it has ended.
	Health *container.Health `json:",omitempty"`
	// Stopped by a client: the policy does not start it again.
	Stopped bool
}

// clone returns a copy whose fields can be replaced. What they point to is
// shared and must not be changed.
func (r *record) clone() *record {
	c := *r
	return &c
}

func (r *record) encode() (typeurl.Any, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the container's record: %w", err)
	}
	return &anypb.Any{TypeUrl: recordURL, Value: text}, nil
}

// decodeRecord reads the record of a container of ours; ours is false for
// one that is not.
func decodeRecord(from corecontainers.Container) (r *record, ours bool, err error) {
	value, ok := from.Extensions[extension]
	if !ok || value.GetTypeUrl() != recordURL {
		return nil, false, nil
	}
	r = new(record)
	if err := json.Unmarshal(value.GetValue(), r); err != nil {
		return nil, true, fmt.Errorf("cannot decode the container's record: %w", err)
	}
	return r, true, nil
}

// change replaces a container's record: in the store, then in memory. edit
// gets a copy. spec, if not nil, is written along with it.
func (s *Service) change(ctx context.Context, c *ctr, spec typeurl.Any, edit func(*record)) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	before := c.record()
	after := before.clone()
	edit(after)
	value, err := after.encode()
	if err != nil {
		return err
	}
	update := corecontainers.Container{ID: c.id, Spec: spec, Extensions: map[string]typeurl.Any{extension: value}}
	fields := []string{"extensions." + extension}
	if spec != nil {
		fields = append(fields, "spec")
	}
	if before.Name != after.Name {
		update.Labels = map[string]string{labelName: after.Name}
		fields = append(fields, "labels."+labelName)
	}
	if _, err := s.Engine.Client().ContainerService().Update(ctx, update, fields...); err != nil {
		return fmt.Errorf("cannot save container %s: %w", c.id, err)
	}
	c.saved.Store(after)
	return nil
}
