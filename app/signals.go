package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"go.uber.org/zap"
)

// told is why the daemon ends when a signal says so.
type told struct{ signal syscall.Signal }

func (t told) Error() string { return "told to stop by signal: " + t.signal.String() }

func (t told) status() int { return 128 + int(t.signal) }

// takeSignals handles the process's signals until release is called:
//
//   - SIGTERM and SIGINT cancel the daemon's life; the second one ends the
//     process at once, with 128 and its number.
//   - SIGQUIT does the same after it wrote the stacks of all goroutines to
//     standard error: for a daemon that hangs.
//   - SIGPIPE is ignored, so that whoever reads the log may go away; not by
//     signal.Ignore, which the daemon's children would inherit.
//   - SIGHUP is ignored, so that a daemon survives the terminal it was started
//     from: there is no log file to open again.
func takeSignals(cancel context.CancelCauseFunc, log *zap.Logger) (release func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	pipe := make(chan os.Signal, 1) // nobody reads it
	signal.Notify(pipe, syscall.SIGPIPE)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		asked := false
		for {
			select {
			case s := <-signals:
				asked = handle(s.(syscall.Signal), asked, cancel, log)
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(quit)
		<-ended
	}
}

// handle acts on one signal and reports whether the daemon has been asked to stop.
func handle(s syscall.Signal, asked bool, cancel context.CancelCauseFunc, log *zap.Logger) bool {
	switch s {
	case syscall.SIGHUP:
		log.Info("signal ignored", zap.Stringer("signal", s))
		return asked
	case syscall.SIGQUIT:
		dumpStacks()
	}
	why := told{s}
	if asked {
		log.Error("exiting at once", zap.Error(why), zap.Int("status", why.status()))
		_ = log.Sync()
		os.Exit(why.status())
	}
	cancel(why)
	log.Info("stopping; a second signal exits at once", zap.Stringer("signal", s))
	return true
}

func dumpStacks() {
	stacks := make([]byte, 16<<20)
	fmt.Fprintf(os.Stderr, "%s\n", stacks[:runtime.Stack(stacks, true)])
}
