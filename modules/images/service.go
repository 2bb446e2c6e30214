// Package images pulls, loads, names and removes images.
//
// Images live in containerd: blobs in its content store, unpacked layers in
// its snapshotters, and one record for each name. What Docker's clients call
// an image, and identify by the digest of its configuration, is every record
// that leads to that configuration. An image that has lost its last name but
// is still used keeps a record under a name that no reference can spell.
//
// Whatever is written before a record exists is held by a lease, so that what
// goes wrong half-way leaves nothing behind, and what a killed daemon leaves is
// removed by the next Start.
package images

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/plugins"
)

const (
	// leaseLabel marks the leases of this package with their operation.
	leaseLabel = "pouchfx/op"
	// ImageIDLabel is the label of a container that names its image's ID.
	ImageIDLabel = "pouchfx/image-id"

	cleanupTimeout = 30 * time.Second
)

// Config says how registries are spoken to.
type Config struct {
	// InsecureRegistries may be spoken to without TLS or with a certificate
	// that nobody vouches for: host, host:port or a network as in 10.0.0.0/8.
	// Loopback always may.
	InsecureRegistries []string
	// StallTimeout is how long a registry may send nothing; 0 means a minute.
	StallTimeout time.Duration
}

// Service is the one place where images come from and go to.
type Service struct {
	engine     *containerd.Engine
	hooks      plugins.ImagePlugin
	bus        *events.Bus
	log        *zap.Logger
	registries *registries
}

// New makes the service. Its methods need an engine that runs.
func New(engine *containerd.Engine, hooks plugins.ImagePlugin, bus *events.Bus, log *zap.Logger, c Config) *Service {
	return &Service{engine: engine, hooks: hooks, bus: bus, log: log, registries: newRegistries(c)}
}

// Start removes what the operations of a killed daemon left behind.
func (s *Service) Start(ctx context.Context) error {
	manager := s.client().LeasesService()
	var unfinished []string
	for _, op := range operations {
		unfinished = append(unfinished, leasedFor(op))
	}
	left, err := manager.List(ctx, unfinished...)
	if err != nil {
		return fmt.Errorf("look for unfinished images: %w", err)
	}
	for n, l := range left {
		s.log.Info("remove an unfinished image", zap.String("lease", l.ID))
		var how []leases.DeleteOpt
		if n == len(left)-1 {
			how = append(how, leases.SynchronousDelete) // collects for all of them
		}
		if err := manager.Delete(ctx, l, how...); err != nil {
			return fmt.Errorf("remove an unfinished image: %w", err)
		}
	}
	return nil
}

func (s *Service) client() *client.Client { return s.engine.Client() }

// The operations that write before they name, or read what may lose its last
// name meanwhile.
const (
	opPull   = "pull"
	opLoad   = "load"
	opPush   = "push"
	opSave   = "save"
	opImport = "import"
	opCommit = "commit"
)

var operations = []string{opPull, opLoad, opPush, opSave, opImport, opCommit}

func leasedFor(op string) string { return fmt.Sprintf("labels.%q==%s", leaseLabel, op) }

// lease holds what is written with the context it returns until release.
// When the operation failed, release waits until what was written is gone.
func (s *Service) lease(ctx context.Context, op string) (_ context.Context, release func(failed bool), err error) {
	manager := s.client().LeasesService()
	l, err := manager.Create(ctx, leases.WithRandomID(), leases.WithExpiration(24*time.Hour), leases.WithLabels(map[string]string{leaseLabel: op}))
	if err != nil {
		return nil, nil, err
	}
	return leases.WithLease(ctx, l.ID), func(failed bool) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		var how []leases.DeleteOpt
		if failed {
			how = append(how, leases.SynchronousDelete)
		}
		if err := manager.Delete(ctx, l, how...); err != nil {
			s.log.Warn("cannot remove a lease", zap.String("lease", l.ID), zap.Error(err))
		}
	}, nil
}

// hold is a lease under which images can be read to the end, whoever removes
// them meanwhile.
func (s *Service) hold(ctx context.Context, op string, held ...*Image) (_ context.Context, release func(failed bool), err error) {
	ctx, release, err = s.lease(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	id, _ := leases.FromContext(ctx)
	for _, i := range held {
		// What belongs to an image hangs on its target by labels.
		target := leases.Resource{Type: "content", ID: i.record.Target.Digest.String()}
		if err := s.client().LeasesService().AddResource(ctx, leases.Lease{ID: id}, target); err != nil {
			release(true)
			return nil, nil, err
		}
	}
	return ctx, release, nil
}
