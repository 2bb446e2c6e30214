package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	// connectTimeout bounds the wait for an external containerd to answer.
	connectTimeout = 10 * time.Second
	// retryTimeout bounds the wait between two attempts to reach it.
	retryTimeout = 2 * time.Second
)

// connect uses the containerd at the configured address. It executes our shim
// and runc by their paths, and so must share this host's filesystem.
//
// For CRI it need not run yet: kubelet is to see that it does not. Whoever
// needs it at the start sees the same.
func (e *Engine) connect(ctx context.Context) (err error) {
	e.cleanMounts(filepath.Join(e.config.Root, "tmpmounts"))
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if e.client, err = e.newClient(Namespace); err != nil {
		return err
	}
	if e.config.CRI == nil {
		return e.check(ctx, grpc.WaitForReady(true))
	}
	if e.podClient, err = e.newClient(PodNamespace); err != nil {
		return err
	}
	if err := e.dialCRI("unix://" + e.address()); err != nil {
		return err
	}
	err = e.check(ctx)
	if errdefs.IsUnavailable(err) || errdefs.IsDeadlineExceeded(err) {
		return nil // tellOfOutages does
	}
	return err
}

// address is the path of the external containerd's socket.
func (e *Engine) address() string { return strings.TrimPrefix(e.config.Address, "unix://") }

// newClient makes a client of the external containerd, which need not run.
func (e *Engine) newClient(namespace string) (*client.Client, error) {
	c, err := client.New(e.address(), client.WithDefaultNamespace(namespace), client.WithDefaultPlatform(Platform()), client.WithTimeout(retryTimeout))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	e.onStop(c.Close)
	return c, nil
}

// check refuses a containerd that does not answer, is too old or lacks the
// snapshotter.
func (e *Engine) check(ctx context.Context, o ...grpc.CallOption) error {
	health, err := e.client.HealthService().Check(ctx, &grpc_health_v1.HealthCheckRequest{}, o...)
	if err != nil {
		return fmt.Errorf("%s does not answer: start it, or leave out --containerd to use the embedded one: %w", e, errgrpc.ToNative(err))
	}
	if health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s is %s: %w", e, health.Status, errdefs.ErrUnavailable)
	}
	if err := e.checkVersion(ctx); err != nil {
		return err
	}
	return e.checkSnapshotter(ctx)
}

// checkVersion refuses a containerd whose shim protocol is too old for ours.
func (e *Engine) checkVersion(ctx context.Context) error {
	v, err := e.client.Version(ctx)
	if err != nil {
		return fmt.Errorf("version of %s: %w", e, err)
	}
	if major := strings.TrimPrefix(v.Version, "v"); strings.HasPrefix(major, "0.") || strings.HasPrefix(major, "1.") {
		return fmt.Errorf("%s is version %s: this daemon needs 2.0 or later", e, v.Version)
	}
	return nil
}

// checkSnapshotter refuses a containerd without the snapshotter.
func (e *Engine) checkSnapshotter(ctx context.Context) error {
	filter := fmt.Sprintf("type==%s,id==%s", plugins.SnapshotPlugin, e.config.Snapshotter)
	found, err := e.client.IntrospectionService().Plugins(ctx, filter)
	if err != nil {
		return fmt.Errorf("plugins of %s: %w", e, err)
	}
	if len(found.Plugins) == 0 {
		return fmt.Errorf("%s has no snapshotter %q: configure one that it has", e, e.config.Snapshotter)
	}
	if s := found.Plugins[0].InitErr; s != nil && s.Code != 0 {
		return noSnapshotter(e.config.Snapshotter, fmt.Errorf("%s", s.Message))
	}
	return nil
}

// tellOfOutages logs when the external containerd goes and when it is back, once
// each; gRPC would tell of every attempt to reach it. It ends with ctx.
func (e *Engine) tellOfOutages(ctx context.Context) {
	conn := e.cri // which is told at once that nobody listens
	if conn == nil {
		var ok bool
		if conn, ok = e.client.Conn().(*grpc.ClientConn); !ok {
			return
		}
	}
	lost := false
	for {
		state := conn.GetState()
		switch {
		case state == connectivity.TransientFailure && !lost:
			lost = true
			e.log.Warn("containerd does not answer: nothing works until it does", zap.String("address", e.address()))
		case state == connectivity.Ready && lost:
			lost = false
			e.log.Info("containerd answers again", zap.String("address", e.address()))
		case state == connectivity.Idle:
			conn.Connect() // so that somebody notices
		}
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}
