// Package demo shows what plugins change, on a real container of a real
// daemon, and proves each claim: from inside the container where the change
// is there, else from what the daemon's API or the host shows.
//
// It starts the daemon as a process of its own, with the target demo, a
// temporary root and a network namespace apart from the machine's, brings its
// own image and registry, and leaves nothing behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit bounds the whole demo.
const limit = 2 * time.Minute

// Run plays the demo and tells about it on out. Its error is that of a step
// that could not be made, or the number of claims that did not hold.
func Run(ctx context.Context, out io.Writer) (err error) {
	switch {
	case os.Geteuid() != 0:
		return errors.New("the demo runs a real container: run it as root, as in sudo make demo")
	case len(guest) == 0:
		return errors.New("this binary was built without the demo's image: use make demo")
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	if os.Getenv(apart) == "" {
		return runApart(ctx, out)
	}
	if err := errors.Join(os.Unsetenv(apart), loopbackUp()); err != nil {
		return err
	}

	// Short, for the paths of unix sockets are bounded.
	root, err := os.MkdirTemp("/tmp", "px")
	if err != nil {
		return err
	}
	s := &story{narrator: newNarrator(out), root: root}
	defer func() {
		err = errors.Join(err, s.clean(root))
	}()
	if err := s.tell(ctx); err != nil {
		if why := context.Cause(ctx); why != nil {
			return fmt.Errorf("the demo was broken off: %w: %w", why, err)
		}
		return err
	}
	if err := s.clean(root); err != nil {
		return err
	}
	s.claimNothingIsLeft()
	if s.failed > 0 {
		return fmt.Errorf("%d of %d claims did not hold", s.failed, s.claims)
	}
	s.say("All %d claims hold. This took %.1f s.", s.claims, time.Since(s.begin).Seconds())
	return nil
}
