package nri

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/grpc/status"
)

// recorder learns, by way of NRI's metrics, which plugin did what: the results
// of NRI do not tell.
type recorder struct {
	mu      sync.Mutex
	answers *answers // of the request in progress; nil when there is none
}

func (r *recorder) begin(event api.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = &answers{event: event.PrettyName()}
}

func (r *recorder) end() *answers {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answers
	r.answers = nil
	return a
}

// RecordPluginInvocation is called when a plugin has answered, or has not.
func (r *recorder) RecordPluginInvocation(plugin, event string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil || r.answers.event != event {
		return
	}
	if err != nil {
		r.answers.failed = append(r.answers.failed, failure{plugin, err})
		return
	}
	r.answers.answered = append(r.answers.answered, plugin)
}

// RecordPluginAdjustments is called with what a plugin asks for.
func (r *recorder) RecordPluginAdjustments(plugin, event string, a *adaptation.ContainerAdjustment, updates, evictions int) {
	refused := refusals(plugin, a, evictions)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers != nil && r.answers.event == event {
		r.answers.refused = append(r.answers.refused, refused...)
	}
}

// RecordPluginLatency is not of interest: the daemon measures its own hooks.
func (r *recorder) RecordPluginLatency(string, string, time.Duration) {}

// UpdatePluginCount is not of interest.
func (r *recorder) UpdatePluginCount(int) {}

// message is what a plugin said, without the words of the protocol.
func message(err error) string { return status.Convert(err).Message() }

// version is that of the daemon, as NRI plugins are told.
func version() string {
	const module = "github.com/pouchfx/pouchfx"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" {
				return m.Version
			}
		}
	}
	return "unknown"
}
