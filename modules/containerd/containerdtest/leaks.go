package containerdtest

import "go.uber.org/goleak"

// Leaks are the goroutines that containerd starts with an engine and never
// ends; a process that restarts its engine has them once more each time.
func Leaks() []goleak.Option {
	var ignore []goleak.Option
	for _, f := range []string{
		"github.com/docker/go-events.(*Broadcaster).run",
		"github.com/containerd/containerd/v2/plugins/gc.(*gcScheduler).mutationCallback.func1",
		// With CRI.
		"github.com/containerd/containerd/v2/internal/cri/server.(*criService).GetContainerEvents", // one for each watcher, until the next event
		"github.com/containerd/containerd/v2/internal/cri/server/events.(*EventMonitor).Start.func1",
		"github.com/containerd/containerd/v2/internal/cri/server/images.(*snapshotsSyncer).start.func1",
		"github.com/containerd/containerd/v2/internal/eventq.New[...].func1",
		"github.com/fsnotify/fsnotify.(*inotify).readEvents",
		"tags.cncf.io/container-device-interface/pkg/cdi.(*watch).watch",
	} {
		ignore = append(ignore, goleak.IgnoreAnyFunction(f))
	}
	return ignore
}
