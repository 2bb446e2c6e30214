package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// joining is the network of a container that is being started. Its namespace
// is there; what is plugged into it is set up while the runtime makes the
// container, or, where plugins have runtime hooks, when the network's turn
// among them comes.
type joining struct {
	netns string
	begin func() // once
	done  chan struct{}
	err   error // after done
}

// openNetwork makes a container's network namespace and has it set up. It
// returns nil for a container without networks of its own.
func (s *Service) openNetwork(ctx context.Context, c *ctr, start *types.Container, hooked bool, undo *undoList) (*joining, error) {
	if !c.record().ownsNetwork() {
		return nil, nil
	}
	endpoints, err := s.endpoints(ctx, c, start.Config.Env)
	if err != nil {
		return nil, networkError(err)
	}
	j := &joining{done: make(chan struct{})}
	working, stop := context.WithCancel(ctx)
	j.begin = sync.OnceFunc(func() {
		s.owned.Go(func() {
			defer close(j.done)
			defer stop()
			j.err = s.plug(working, c.id, endpoints)
		})
	})
	undo.add("network", func(ctx context.Context) error {
		stop()
		j.begin() // a set-up that has not begun never will
		<-j.done
		return s.Networks.Close(ctx, c.id)
	})
	if j.netns, err = s.Networks.Open(ctx, sandbox(c, start, endpoints)); err != nil {
		return nil, networkError(err)
	}
	if !hooked {
		j.begin()
		if netFirst(start) {
			err = j.wait(ctx)
		}
		return j, err
	}
	s.joinings.Store(c.id, j)
	undo.add("network hook", func(context.Context) error { s.joinings.Delete(c.id); return nil })
	return j, nil
}

func (s *Service) plug(ctx context.Context, id string, endpoints []*networktypes.Endpoint) error {
	if err := ctx.Err(); err != nil || len(endpoints) == 0 {
		return err
	}
	return networkError(s.Networks.Connect(ctx, id, endpoints...))
}

// networkError says, as dockerd does, of what the start of a container consists.
func networkError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("failed to set up container networking: %w", err)
}

// networkHook is what the runtime hook of the network asks for.
func (s *Service) networkHook(ctx context.Context, state specs.State) error {
	found, ok := s.joinings.Load(state.ID)
	if !ok {
		return fmt.Errorf("container %s is not being started by this daemon", state.ID)
	}
	j := found.(*joining)
	j.begin()
	return j.wait(ctx)
}

// wait waits for the network.
func (j *joining) wait(ctx context.Context) error {
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended waits for the network of a container that the runtime has made.
// hooked says that it was to be set up on the way.
func (j *joining) ended(ctx context.Context, hooked bool) error {
	if hooked {
		select {
		case <-j.done:
		default:
			return errors.New("the runtime does not run hooks: the container has no network")
		}
	}
	return j.wait(ctx)
}

// failure is the error of a network that could not be set up, which says more
// than what the runtime says of its hook.
func (j *joining) failure() error {
	if j == nil {
		return nil
	}
	select {
	case <-j.done:
		return j.err
	default:
		return nil
	}
}

// netFirst tells whether the network must be complete before the container is
// made: what --sysctl says about interfaces holds for those that are there.
func netFirst(start *types.Container) bool {
	for key := range start.HostConfig.Sysctls {
		if strings.HasPrefix(key, "net.") {
			return true
		}
	}
	return false
}

// closeNetwork takes down whatever network a container has, and closes the
// channel when that is done.
func (s *Service) closeNetwork(ctx context.Context, c *ctr) <-chan struct{} {
	done := make(chan struct{})
	if !c.record().ownsNetwork() {
		close(done)
		return done
	}
	s.owned.Go(func() {
		defer close(done)
		if err := s.Networks.Close(ctx, c.id); err != nil {
			s.Log.Error("cannot take down the network of a container", containerField(c), zap.Error(err))
		}
	})
	return done
}
