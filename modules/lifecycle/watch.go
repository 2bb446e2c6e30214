package lifecycle

import "context"

// Watch turns a module's channel of fatal errors into calls of Fatal, between
// Start and Stop.
type Watch struct {
	failed <-chan error
	fatal  Fatal
	stop   context.CancelFunc
	ended  chan struct{}
}

// NewWatch watches failed, which may be closed.
func NewWatch(failed <-chan error, fatal Fatal) *Watch {
	return &Watch{failed: failed, fatal: fatal, ended: make(chan struct{})}
}

// Start begins to watch.
func (w *Watch) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() {
		defer close(w.ended)
		select {
		case err, ok := <-w.failed:
			if ok {
				w.fatal(err)
			}
		case <-ctx.Done():
		}
	}()
	return nil
}

// Stop ends the watch.
func (w *Watch) Stop(context.Context) error {
	w.stop()
	<-w.ended
	return nil
}
