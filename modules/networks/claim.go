package networks

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// claimTimeout is how long a daemon waits for another that chooses subnets.
// Whoever may open the namespace's file can lock it: nobody gets to stop us.
const claimTimeout = 10 * time.Second

// claim makes this daemon the only one that looks which subnets are free in
// this network namespace and takes one, until release is called: two daemons
// that look at the same time would both take the first. The kernel ends a
// claim with the process.
func (s *Service) claim(ctx context.Context) (release func(), err error) {
	s.claiming.Lock()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		s.claiming.Unlock()
		return nil, err
	}
	release = func() { _ = f.Close(); s.claiming.Unlock() }
	waited, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	switch err := lockFile(waited, f, unix.LOCK_EX); {
	case err == nil:
	case ctx.Err() != nil:
		release()
		return nil, err
	case errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("another process keeps this network namespace locked: a subnet is chosen all the same", zap.Error(err))
	default:
		release()
		return nil, err
	}
	return release, nil
}

// lockFile takes a lock of flock(2), or gives up with the context's error.
func lockFile(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
