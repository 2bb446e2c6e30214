package hooks

import (
	"context"
	"fmt"
	"net/http"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Readonly refuses all requests that change something.
type Readonly struct{}

// ReadonlyModule makes it part of a daemon.
var ReadonlyModule = plugins.Provide("readonly", NewReadonly, plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Enabled = false }))

// NewReadonly needs nothing.
func NewReadonly(struct{}) (*Readonly, error) { return &Readonly{}, nil }

// UpdateHandler is called once, before the API listens.
func (*Readonly) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	for _, r := range routes {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			continue
		}
		refusal := errdefs.ErrPermissionDenied.WithMessage(r.Method + " " + r.Path + ": the daemon is read-only")
		r.HandlerFunc = func(context.Context, http.ResponseWriter, *http.Request) error { return refusal }
	}
	return append(routes, types.NewHandlerSpec(http.MethodGet, "/readonly", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
		_, err := fmt.Fprintln(w, "yes")
		return err
	}))
}

// Tenants tells containers of pods whose they are.
type Tenants struct{}

// TenantsModule makes it part of a daemon.
var TenantsModule = plugins.Provide("tenant-label", NewTenants)

// NewTenants needs nothing.
func NewTenants(struct{}) (*Tenants, error) { return &Tenants{}, nil }

// PreCreateContainer is called on CRI creates, before PreCreate.
func (*Tenants) PreCreateContainer(_ context.Context, c *types.ContainerCreateConfig, sandbox interface{}) error {
	pod := sandbox.(*types.SandboxMeta)
	c.Env = append(c.Env, "TENANT="+pod.Namespace)
	return nil
}

// Pulls writes what was pulled into the log.
type Pulls struct{ log *zap.Logger }

// PullsModule makes it part of a daemon.
var PullsModule = plugins.Provide("pull-log", NewPulls)

// NewPulls gets a logger with the plugin's name.
func NewPulls(log *zap.Logger) (*Pulls, error) { return &Pulls{log}, nil }

// PostPull is called when an image is there, before the client hears of it.
func (p *Pulls) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	size, err := image.Size(ctx)
	if err != nil {
		return fmt.Errorf("size of %s: %w", image.Name(), err)
	}
	p.log.Info("pulled", zap.String("image", image.Name()), zap.Int64("bytes", size), zap.String("snapshotter", snapshotter))
	return nil
}

// Owners gives volumes a label.
type Owners struct{}

// OwnersModule makes it part of a daemon.
var OwnersModule = plugins.Provide("volume-owner", NewOwners)

// NewOwners needs nothing.
func NewOwners(struct{}) (*Owners, error) { return &Owners{}, nil }

// PreVolumeCreate is called for every volume, also one that a container implies.
func (*Owners) PreVolumeCreate(ctx context.Context, v *types.VolumeCreateConfig) error {
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	v.Labels["owner"] = plugins.RequestFrom(ctx).RemoteUser
	return nil
}
