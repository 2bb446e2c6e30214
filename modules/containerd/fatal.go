package containerd

import (
	"fmt"
	"sync"

	"github.com/containerd/log"
)

// containerd ends the process when it gives up: it logs and calls this hook of
// its process-wide logger. While engines run, they are told instead.
var fatal struct {
	sync.Mutex
	once    sync.Once
	engines map[*func(error)]struct{}
}

// catchFatal has report called when containerd gives up, until the returned
// function is called.
func catchFatal(report func(error)) (release func() error) {
	fatal.once.Do(func() {
		fatal.engines = map[*func(error)]struct{}{}
		log.L.Logger.ExitFunc = func(code int) {
			fatal.Lock()
			defer fatal.Unlock()
			for f := range fatal.engines {
				(*f)(fmt.Errorf("containerd gave up (status %d): its last log entry tells why", code))
			}
		}
	})
	fatal.Lock()
	defer fatal.Unlock()
	fatal.engines[&report] = struct{}{}
	return func() error {
		fatal.Lock()
		defer fatal.Unlock()
		delete(fatal.engines, &report)
		return nil
	}
}
