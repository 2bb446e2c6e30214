package shim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/pkg/sys/reaper"
	"github.com/containerd/fifo"
	"github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

const (
	// socketFD is where the process that starts a shim leaves its socket.
	socketFD = 3
	// gcPercent is what containerd's shim has.
	gcPercent = 40
	// tidyEvery is how often a shim looks whether it has memory to return, and
	// whether it has any container; it ends when it has had none for that long.
	tidyEvery = 30 * time.Second
	// tidyAfter is how many bytes it has allocated then, twice what the start
	// of a container takes.
	tidyAfter = 2 << 20
)

// server is a shim that stays and serves the tasks of its containers, by its
// command line.
type server struct {
	namespace, id, address string
	debug                  bool
}

// parseServer reads the arguments with which containerd's shim executes itself
// to stay; ok is false for the short actions, which have others.
func parseServer(args []string) (s server, ok bool) {
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&s.namespace, "namespace", "", "")
	flags.StringVar(&s.id, "id", "", "")
	flags.StringVar(&s.address, "address", "", "")
	flags.BoolVar(&s.debug, "debug", false, "")
	err := flags.Parse(args)
	return s, err == nil && flags.NArg() == 0 && s.namespace != "" && s.id != ""
}

// run does what containerd's shim.RunShim does for a shim that stays, but for
// collecting garbage every 30 seconds: a shim whose container is left alone
// makes none, and what collecting itself takes, a tenth of all, stays taken.
// This one collects when it has worked.
func (s server) run() error {
	// Go keeps memory for each of its processors, of which containerd asks for
	// four, and a shim hardly ever has two things to do at once.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(gcPercent)

	signals := make(chan os.Signal, 32)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGTERM, unix.SIGINT, unix.SIGPIPE, unix.SIGUSR1)
	if err := reaper.SetSubreaper(1); err != nil {
		return err
	}
	ctx, ending := shutdown.WithShutdown(namespaces.WithNamespace(context.Background(), s.namespace))
	defer ending.Shutdown()
	if err := s.openLog(ctx); err != nil {
		return err
	}
	defer s.removeSockets(ctx)
	tasks, err := serveTasks(ctx, ending)
	if err != nil {
		return err
	}
	tick, used := time.NewTicker(tidyEvery), memory{}
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			used.tidy()
			// A containerd whose client goes in the middle of a create, or that
			// is killed there, forgets the shim that it has just started.
			if tasks.deserted() {
				ending.Shutdown()
			}
		case received := <-signals:
			switch received {
			case unix.SIGCHLD:
				if err := reaper.Reap(); err != nil {
					log.G(ctx).WithError(err).Error("reap exit status")
				}
			case unix.SIGTERM, unix.SIGINT:
				ending.Shutdown()
			case unix.SIGUSR1:
				logStacks(ctx)
			}
		case <-ctx.Done():
			if err := ctx.Err(); !errors.Is(err, shutdown.ErrShutdown) {
				return err
			}
			return nil
		}
	}
}

// memory is what the process has allocated.
type memory struct {
	now    runtime.MemStats
	tidied uint64 // of what is allocated in all
}

// tidy collects garbage and returns memory to the system, if there has been
// something to do since it last did.
func (m *memory) tidy() {
	runtime.ReadMemStats(&m.now)
	if m.now.TotalAlloc-m.tidied > tidyAfter {
		debug.FreeOSMemory()
		m.tidied = m.now.TotalAlloc
	}
}

// openLog has the log go to the daemon, together with what a crash says.
func (s server) openLog(ctx context.Context) error {
	if err := log.SetFormat(log.TextFormat); err != nil {
		return err
	}
	if s.debug {
		if err := log.SetLevel("debug"); err != nil {
			return err
		}
	}
	out, err := fifo.OpenFifoDup2(ctx, "log", unix.O_WRONLY, 0o700, int(os.Stderr.Fd()))
	if err != nil {
		return err
	}
	log.L.Logger.SetOutput(out)
	return nil
}

// serveTasks serves until the process ends.
func serveTasks(ctx context.Context, ending shutdown.Service) (*holding, error) {
	publisher, err := shim.NewPublisher(os.Getenv("TTRPC_ADDRESS"))
	if err != nil {
		return nil, err
	}
	// The shim's own context ends with an error of its own, which containerd's
	// watcher of cgroup v1 takes for a failure and logs in a busy loop.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, cancel)
	service, err := task.NewTaskService(own, publisher, ending)
	if err != nil {
		return nil, err
	}
	ttrpcServer, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))
	if err != nil {
		return nil, err
	}
	tasks := newHolding(service)
	if err := tasks.RegisterTTRPC(ttrpcServer); err != nil {
		return nil, err
	}
	listener, err := net.FileListener(os.NewFile(socketFD, "socket"))
	if err != nil {
		return nil, fmt.Errorf("the shim's socket: %w", err)
	}
	go func() {
		if err := ttrpcServer.Serve(ctx, listener); err != nil && !errors.Is(err, net.ErrClosed) {
			log.G(ctx).WithError(err).Fatal("the shim does not serve any longer")
		}
	}()
	return tasks, nil
}

// removeSockets removes what the process that started this one made.
func (s server) removeSockets(ctx context.Context) {
	dir, err := os.Readlink("s")
	if err != nil {
		dir = filepath.Join(defaults.DefaultStateDir, "s")
	}
	for _, debug := range []bool{false, true} {
		if address, err := shim.CreateSocketAddress(ctx, dir, s.address, s.id, debug); err == nil {
			_ = shim.RemoveSocket(address)
		}
	}
}

// logStacks writes what all goroutines do into the log.
func logStacks(ctx context.Context) {
	stacks := make([]byte, 256<<10)
	log.G(ctx).Infof("=== goroutine stacks ===\n%s", stacks[:runtime.Stack(stacks, true)])
}
