package api

import (
	"context"
	"net/http"

	eventtypes "github.com/moby/moby/api/types/events"

	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/types"
)

// eventHandlers serve /events.
type eventHandlers struct {
	bus     *events.Bus
	streams *streams
}

func (h *eventHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{types.NewHandlerSpec("GET", "/events", h.stream)}
}

// stream sends recorded events, then those that happen, until the client
// goes, the until parameter comes or the server stops.
func (h *eventHandlers) stream(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	since, until, f := q.time("since"), q.time("until"), q.filters()
	if q.err != nil {
		return q.err
	}
	if !until.IsZero() && until.Before(since) {
		return badRequest("`since` time (%s) cannot be after `until` time (%s)", q.text("since"), q.text("until"))
	}
	ctx, cancel := h.streams.context(ctx)
	defer cancel()
	past, live, unsubscribe := h.bus.Subscribe(since, until)
	defer unsubscribe()

	out := &stream{w: w, lineEnd: "\n"}
	if err := out.begin(); err != nil {
		return err
	}
	for _, m := range past {
		if err := sendEvent(out, f, m); err != nil {
			return err
		}
	}
	for {
		select {
		case m, open := <-live:
			if !open {
				return nil
			}
			if err := sendEvent(out, f, m); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func sendEvent(out *stream, f filters.Args, m eventtypes.Message) error {
	if !events.Matches(f, m) {
		return nil
	}
	return out.send(legacyEvent(m))
}
