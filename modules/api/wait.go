package api

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/container"
)

// wait answers when a container has ended or is gone. The headers are sent as
// soon as the waiter is registered: a client starts the container when it has
// them.
func (h *containerHandlers) wait(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	condition := container.WaitCondition(q.text("condition"))
	early := versionFrom(ctx).atLeast(30)
	switch {
	case !early || condition == "":
		condition = container.WaitConditionNotRunning
	case condition != container.WaitConditionNotRunning && condition != container.WaitConditionNextExit && condition != container.WaitConditionRemoved:
		return badRequest("invalid condition: %q: use not-running, next-exit or removed", condition)
	}
	ctx, cancel := h.streams.context(ctx)
	defer cancel()
	ended, err := h.backend.Wait(ctx, r.PathValue("name"), condition)
	if err != nil {
		return err
	}
	out := &stream{w: w, lineEnd: "\n"}
	if early {
		if err := out.begin(); err != nil {
			return err
		}
	}
	select {
	case status, ok := <-ended:
		if ok {
			return out.send(status)
		}
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}
