package networks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/moby/locker"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/networks/firewall"
	"github.com/pouchfx/pouchfx/modules/store"
)

const bucket = "networks"

// Params are what the networks need.
type Params struct {
	// Root is the daemon's data root: the CNI programs are unpacked in there.
	Root string
	// ExecRoot holds what does not outlive a reboot.
	ExecRoot string
	// Programs are directories with CNI programs, which come before those that
	// this binary carries.
	Programs []string
	Store    *store.Store
	Events   *events.Bus
	Log      *zap.Logger
}

// Service is the networks of a daemon and what its containers have of them.
// Its methods may be called at the same time, between Start and Stop; those
// that change one container's sandbox wait for each other.
type Service struct {
	dir      string // of the sandboxes
	identity string // tells this daemon's devices and rules from others'
	records  *store.Store
	bus      *events.Bus
	log      *zap.Logger
	programs *programs
	rules    rules

	busy     *locker.Locker // by container
	claiming sync.Mutex     // see claim
	creating sync.Mutex     // held while a network is made
	started  bool

	mu        sync.RWMutex
	networks  map[string]*entry   // by id
	sandboxes map[string]*sandbox // by container
	ports     map[portKey]string  // reserved, and the container that has it
}

// New makes a service; Start brings it to life.
func New(p Params) *Service {
	sum := sha256.Sum256([]byte(filepath.Clean(p.Root) + "\x00" + filepath.Clean(p.ExecRoot)))
	identity := hex.EncodeToString(sum[:6])
	return &Service{
		dir: filepath.Join(p.ExecRoot, "networks"), identity: identity,
		records: p.Store, bus: p.Events, log: p.Log,
		programs: newPrograms(p.Programs, filepath.Join(p.Root, "bin"), filepath.Join(p.ExecRoot, "cni")),
		rules:    rules{table: firewall.New("pouchfx-" + identity), log: p.Log},
		busy:     locker.New(),
		networks: map[string]*entry{}, sandboxes: map[string]*sandbox{}, ports: map[portKey]string{},
	}
}

// Start reads the networks, makes the predefined ones when they are not there,
// and restores what containers that outlived the daemon have: devices, rules,
// name servers and reservations of ports. What an end of the daemon left
// half-done is taken down.
//
// A host on which networks cannot be made is no error: the first container
// that needs one gets it.
func (s *Service) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("networks: %w", err), s.Stop(ctx))
		}
	}()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.programs.start(ctx); err != nil {
		return err
	}
	s.started = true
	if err := s.load(); err != nil {
		return err
	}
	if err := s.makePredefined(); err != nil {
		return err
	}
	return s.restore(ctx)
}

// Stop ends what runs in this process. Containers stay connected and go on
// being reached; devices and rules that serve nobody go.
func (s *Service) Stop(context.Context) error {
	if !s.started {
		return nil
	}
	s.started = false
	s.mu.Lock()
	sandboxes, entries := s.sandboxes, s.networks
	s.sandboxes, s.networks = map[string]*sandbox{}, map[string]*entry{}
	s.mu.Unlock()
	var errs []error
	used := map[string]bool{}
	for _, sb := range sandboxes {
		errs = append(errs, sb.stopServer())
		s.releasePorts(sb)
		for _, ep := range sb.Endpoints {
			used[ep.NetworkID] = true
		}
	}
	for _, e := range entries {
		if !used[e.ID] {
			errs = append(errs, s.removeBridge(e))
		}
	}
	return errors.Join(append(errs, s.rules.end(len(used) > 0), s.programs.stop())...)
}
