package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/plugins"
)

// connectTimeout bounds the wait for an external containerd to answer.
const connectTimeout = 10 * time.Second

// connect uses the containerd at the configured address. It executes our shim
// and runc by their paths, and so must share this host's filesystem.
func (e *Engine) connect(ctx context.Context) error {
	e.cleanMounts(filepath.Join(e.config.Root, "tmpmounts"))
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	address := strings.TrimPrefix(e.config.Address, "unix://")
	c, err := client.New(address, client.WithDefaultNamespace(Namespace), client.WithDefaultPlatform(Platform()), client.WithTimeout(connectTimeout))
	if err != nil {
		return fmt.Errorf("containerd at %s: %w", address, err)
	}
	e.onStop(c.Close)
	if serving, err := c.IsServing(ctx); err != nil || !serving {
		return fmt.Errorf("containerd at %s does not answer: start it, or leave out --containerd to use the embedded one: %w", address, err)
	}
	if err := e.checkVersion(ctx, c); err != nil {
		return err
	}
	return e.useClient(ctx, c)
}

// checkVersion refuses a containerd whose shim protocol is too old for ours.
func (e *Engine) checkVersion(ctx context.Context, c *client.Client) error {
	v, err := c.Version(ctx)
	if err != nil {
		return fmt.Errorf("version of %s: %w", e, err)
	}
	if major := strings.TrimPrefix(v.Version, "v"); strings.HasPrefix(major, "0.") || strings.HasPrefix(major, "1.") {
		return fmt.Errorf("%s is version %s: this daemon needs 2.0 or later", e, v.Version)
	}
	return nil
}

// useClient keeps c once it is known to have the snapshotter.
func (e *Engine) useClient(ctx context.Context, c *client.Client) error {
	filter := fmt.Sprintf("type==%s,id==%s", plugins.SnapshotPlugin, e.config.Snapshotter)
	found, err := c.IntrospectionService().Plugins(ctx, filter)
	if err != nil {
		return fmt.Errorf("plugins of %s: %w", e, err)
	}
	if len(found.Plugins) == 0 {
		return fmt.Errorf("%s has no snapshotter %q: configure one that it has", e, e.config.Snapshotter)
	}
	if s := found.Plugins[0].InitErr; s != nil && s.Code != 0 {
		return noSnapshotter(e.config.Snapshotter, fmt.Errorf("%s", s.Message))
	}
	e.client = c
	return nil
}
