package networks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
	"github.com/pouchfx/pouchfx/networktypes"
)

// closeTimeout bounds what is taken down whether or not somebody waits for it.
const closeTimeout = time.Minute

// sandbox is what one container has of networks. What is exported is kept in
// its directory. It is changed by who holds the container's lock, under
// Service.mu; either of the two is enough to read it.
type sandbox struct {
	Sandbox
	ID        string
	Endpoints []*endpoint
	// Bindings are the published ports, once they are reserved.
	Bindings []binding
	// DNS are where its name server listens.
	NameServer nameserver.Ports

	dir       string
	server    *nameserver.Server
	sockets   map[portKey]int // that reserve ports; under Service.mu
	published []firewall.Port // what the firewall was told
}

// endpoint is a container's place on one network.
type endpoint struct {
	ID        string
	NetworkID string
	Asked     networktypes.Endpoint
	// Interface is its name in the container, Host that of its other end; a
	// network without interfaces has none.
	Interface, Host string
	// Config and Args are what CNI was given, and is given to undo it.
	Config json.RawMessage `json:",omitempty"`
	Args   [][2]string     `json:",omitempty"`
	// Plugged means that CNI has made the interface. Without it the endpoint
	// may be half made.
	Plugged            bool
	V4, V6             netip.Prefix
	Gateway4, Gateway6 netip.Addr // where it may be the default route
	MAC                network.HardwareAddr
}

func (sb *sandbox) netns() string { return filepath.Join(sb.dir, "netns") }

// on returns the endpoint on a network, nil when there is none.
func (sb *sandbox) on(networkID string) *endpoint {
	for _, ep := range sb.Endpoints {
		if ep.NetworkID == networkID {
			return ep
		}
	}
	return nil
}

// save writes the sandbox down, as a whole.
func (sb *sandbox) save() error {
	text, err := json.Marshal(sb)
	if err != nil {
		return err
	}
	path := filepath.Join(sb.dir, stateFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

const stateFile = "state.json"

// Open makes a container's network namespace, with nothing but the loopback
// device in it, and returns the path that it is kept at until Close. What the
// container had before is taken down first.
func (s *Service) Open(ctx context.Context, asked Sandbox) (path string, err error) {
	if asked.Container == "" || asked.Container != filepath.Base(asked.Container) {
		return "", invalid("%q is no container's id", asked.Container)
	}
	s.busy.Lock(asked.Container)
	defer func() { _ = s.busy.Unlock(asked.Container) }()
	if err := s.close(ctx, asked.Container); err != nil {
		return "", err
	}
	sb := &sandbox{Sandbox: asked, ID: randomID(), dir: filepath.Join(s.dir, asked.Container)}
	sb.Ports = maps.Clone(asked.Ports)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the network sandbox of container %s: %w", asked.Container, err), sb.remove())
		}
	}()
	if err := sb.remove(); err != nil { // what an Open left that could not undo all
		return "", err
	}
	if err := os.Mkdir(sb.dir, 0o700); err != nil {
		return "", err
	}
	if err := sb.save(); err != nil {
		return "", err
	}
	if err := makeNamespace(sb.netns()); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sandboxes[sb.Container] = sb
	return sb.netns(), nil
}

// Close takes down whatever networks a container has, and its namespace. It
// is safe for containers that have none. After an error it may be called
// again; the next start tries in any case.
func (s *Service) Close(ctx context.Context, container string) error {
	s.busy.Lock(container)
	defer func() { _ = s.busy.Unlock(container) }()
	return s.close(ctx, container)
}

// close is Close. The caller holds the container's lock.
func (s *Service) close(ctx context.Context, container string) error {
	s.mu.RLock()
	sb := s.sandboxes[container]
	s.mu.RUnlock()
	if sb == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	errs := []error{sb.stopServer(), s.unpublish(sb)}
	for _, ep := range slices.Backward(slices.Clone(sb.Endpoints)) {
		err := s.unplug(ctx, sb, ep)
		if err == nil {
			s.publishEndpoint(eventtypes.ActionDisconnect, sb, ep)
		}
		errs = append(errs, err)
	}
	s.releasePorts(sb)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take down the networks of container %s: %w", container, errors.Join(err, sb.save()))
	}
	if err := sb.remove(); err != nil {
		return fmt.Errorf("take down the network sandbox of container %s: %w", container, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sandboxes, container)
	return nil
}

// remove removes the namespace, then the record of it.
func (sb *sandbox) remove() error {
	if err := removeNamespace(sb.netns()); err != nil {
		return err
	}
	return os.RemoveAll(sb.dir)
}

// stopServer ends the name server.
func (sb *sandbox) stopServer() error {
	if sb.server == nil {
		return nil
	}
	err := sb.server.Close()
	sb.server = nil
	return err
}

// opened returns a container's sandbox.
func (s *Service) opened(container string) (*sandbox, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sb := s.sandboxes[container]
	if sb == nil {
		return nil, notFound("container %s has no network sandbox: it is not running, or shares another's network", container)
	}
	return sb, nil
}

// Sandboxes returns the containers whose sandbox is open, in order of their
// ids.
func (s *Service) Sandboxes() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.sandboxes))
}

// Rename has the container found by its new name, and no longer by the old.
func (s *Service) Rename(container, name string) {
	s.busy.Lock(container)
	defer func() { _ = s.busy.Unlock(container) }()
	sb, err := s.opened(container)
	if err != nil {
		return
	}
	s.mu.Lock()
	sb.Name = name
	s.mu.Unlock()
	if err := sb.save(); err != nil {
		s.log.Warn("cannot write down a container's new name for its networks", zap.String("container", container), zap.Error(err))
	}
}
