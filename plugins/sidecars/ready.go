package sidecars

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settle is how long a helper without a condition must live.
	settle = 100 * time.Millisecond
	// pace is how often a condition is looked at.
	pace = 20 * time.Millisecond
)

// condition returns a function that says why the helper is not ready yet. It
// is made before the helper is started.
func (r Ready) condition(h *helper) func(context.Context) error {
	switch {
	case r.Port != 0:
		return func(ctx context.Context) error {
			return dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(r.Port))))
		}
	case r.File != "":
		before, _ := os.Stat(r.File) // an earlier one's does not count
		return func(ctx context.Context) error { return appeared(ctx, r.File, before) }
	case r.Probe != nil:
		return func(ctx context.Context) error { return probe(ctx, r.Probe, h.env, h.Dir) }
	}
	end := time.Now().Add(settle)
	return func(context.Context) error {
		if time.Now().Before(end) {
			return errors.New("it has just been started")
		}
		return nil
	}
}

// await looks at the condition until it holds, the helper has ended, or ctx
// does; then it returns what was missing last.
func (h *helper) await(ctx context.Context, condition func(context.Context) error) error {
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	missing := errors.New("it was not asked yet")
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			missing = err
		}
		select {
		case <-h.done:
			return missing
		case <-ctx.Done():
			return missing
		case <-ticks.C:
		}
	}
}

func dial(ctx context.Context, network, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func appeared(ctx context.Context, file string, before fs.FileInfo) error {
	now, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case now.Mode()&fs.ModeSocket != 0:
		return dial(ctx, "unix", file)
	case before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()):
		return fmt.Errorf("%s is older than the helper", file)
	}
	return nil
}

// probe runs the program once, at most as long as ctx.
func probe(ctx context.Context, argv, env []string, dir string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	said := newOutput(nil)
	p, err := startProcess(argv, env, dir, said)
	if err != nil {
		return fmt.Errorf("probe %s: %w", argv[0], err)
	}
	defer context.AfterFunc(ctx, func() { p.signal(unix.SIGKILL) })()
	if err := p.wait(); err != nil {
		return fmt.Errorf("the probe says no: %w%s", err, said.lastWords())
	}
	return nil
}
