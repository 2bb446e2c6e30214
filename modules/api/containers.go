package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/types"
)

// containerHandlers serve /containers; attach, logs and wait have files of
// their own.
type containerHandlers struct {
	backend Containers
	streams *streams
}

func (h *containerHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/containers/json", h.list),
		types.NewHandlerSpec("POST", "/containers/create", h.create),
		types.NewHandlerSpec("POST", "/containers/prune", h.prune),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/json", h.inspect),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/top", h.top),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/logs", h.logs),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/stats", h.stats),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/start", h.start),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/stop", h.stop),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/restart", h.restart),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/kill", h.kill),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/pause", h.pause),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/unpause", h.unpause),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/rename", h.rename),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/resize", h.resize),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/update", h.update),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/wait", h.wait),
		types.NewHandlerSpec("POST", "/containers/{name:.*}/attach", h.attach),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/attach/ws", h.attachWebsocket),
		types.NewHandlerSpec("DELETE", "/containers/{name:.*}", h.remove),
	}
}

func (h *containerHandlers) list(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	o := containers.ListOptions{All: q.flag("all"), Limit: q.number("limit", 0), Size: q.flag("size"), Filters: q.filters()}
	if q.err != nil {
		return q.err
	}
	for _, key := range []string{"before", "since"} { // parameters of their own until they became filters
		if name := q.text(key); name != "" && !o.Filters.Has(key) {
			o.Filters = o.Filters.With(key, name)
		}
	}
	all, err := h.backend.List(ctx, o)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list(legacySummaries(ctx, all)))
}

func (h *containerHandlers) create(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	config, warning, err := readCreate(ctx, w, r)
	if err != nil {
		return err
	}
	platform, err := parsePlatform(q.text("platform"))
	if err != nil {
		return err
	}
	if !versionFrom(ctx).atLeast(25) {
		config.HostConfig.AutoRemove = false // those clients remove the container themselves
	}
	if h := config.Healthcheck; h != nil && !versionFrom(ctx).atLeast(44) {
		h.StartInterval = 0 // they do not know it
	}
	options := containers.CreateOptions{Name: q.text("name"), Platform: platform, Config: config}
	if q.flag("dryRun") { // ours
		tried, err := h.backend.DryRun(ctx, options)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, tried)
	}
	created, err := h.backend.Create(ctx, options)
	if err != nil {
		return err
	}
	if warning != "" {
		created.Warnings = append(created.Warnings, warning)
	}
	created.Warnings = list(created.Warnings)
	return writeJSON(w, http.StatusCreated, created)
}

// readCreate decodes the body of a create request. HostConfig and
// NetworkingConfig are never nil.
func readCreate(ctx context.Context, w http.ResponseWriter, r *http.Request) (config *types.ContainerCreateConfig, warning string, err error) {
	var sent *struct {
		types.ContainerCreateConfig
		MacAddress network.HardwareAddr
	}
	if err := readJSON(w, r, &sent); err != nil {
		return nil, "", err
	}
	if sent == nil {
		return nil, "", badRequest("config cannot be empty in order to create a container")
	}
	config = &sent.ContainerCreateConfig
	if config.HostConfig == nil {
		config.HostConfig = &types.HostConfig{}
	}
	if config.NetworkingConfig == nil {
		config.NetworkingConfig = &types.NetworkingConfig{}
	}
	for name, endpoint := range config.NetworkingConfig.EndpointsConfig {
		if endpoint == nil {
			config.NetworkingConfig.EndpointsConfig[name] = &network.EndpointSettings{}
		}
	}
	if err := oneEndpoint(ctx, config.NetworkingConfig); err != nil {
		return nil, "", err
	}
	warning, err = placeMAC(ctx, config, sent.MacAddress)
	return config, warning, err
}

// parsePlatform reads os/arch/variant; nil when there is none.
func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	p, err := platforms.Parse(text)
	if err != nil {
		return nil, badRequest("invalid platform %q: %v", text, err)
	}
	return &p, nil
}

func (h *containerHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	found, err := h.backend.Inspect(ctx, r.PathValue("name"), q.flag("size"))
	if err != nil {
		return err
	}
	answer := legacyInspect(ctx, found)
	switch e, err := h.backend.Explain(ctx, found.ID); {
	case err != nil: // no reason not to show the rest
		answer.Pouchfx = &ownInspect{Error: err.Error()}
	case !e.Empty():
		answer.Pouchfx = &ownInspect{Explain: e}
	}
	return writeJSON(w, http.StatusOK, answer)
}

// ownInspect is what inspect has beside what Docker's has.
type ownInspect struct {
	Explain *explain.Explanation `json:",omitempty"`
	// Error is why what plugins did cannot be shown.
	Error string `json:",omitempty"`
}

func (h *containerHandlers) top(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	processes, err := h.backend.Top(ctx, r.PathValue("name"), q.text("ps_args"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, processes)
}

func (h *containerHandlers) start(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return noContent(w, h.backend.Start(ctx, r.PathValue("name")))
}

func (h *containerHandlers) stop(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	timeout, signal := q.optional("t"), q.text("signal")
	if q.err != nil {
		return q.err
	}
	return noContent(w, h.backend.Stop(ctx, r.PathValue("name"), timeout, signal))
}

func (h *containerHandlers) restart(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	timeout, signal := q.optional("t"), q.text("signal")
	if q.err != nil {
		return q.err
	}
	return noContent(w, h.backend.Restart(ctx, r.PathValue("name"), timeout, signal))
}

func (h *containerHandlers) kill(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	name := r.PathValue("name")
	if err := h.backend.Kill(ctx, name, q.text("signal")); err != nil {
		return fmt.Errorf("cannot kill container: %s: %w", name, err)
	}
	return noContent(w, nil)
}

func (h *containerHandlers) pause(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return noContent(w, h.backend.Pause(ctx, r.PathValue("name")))
}

func (h *containerHandlers) unpause(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return noContent(w, h.backend.Unpause(ctx, r.PathValue("name")))
}

func (h *containerHandlers) rename(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	return noContent(w, h.backend.Rename(ctx, r.PathValue("name"), q.text("name")))
}

func (h *containerHandlers) resize(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	height, width := q.size("h"), q.size("w")
	if q.err != nil {
		return q.err
	}
	return h.backend.Resize(ctx, r.PathValue("name"), height, width)
}

// update leaves the body to the backend, whose first step is the PreUpdate
// chain.
func (h *containerHandlers) update(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if err := checkJSON(r); err != nil {
		return err
	}
	updated, err := h.backend.Update(ctx, r.PathValue("name"), body(w, r))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updated)
}

func (h *containerHandlers) remove(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	o := containers.RemoveOptions{Force: q.flag("force"), Volumes: q.flag("v"), Link: q.flag("link")}
	return noContent(w, h.backend.Remove(ctx, r.PathValue("name"), o))
}

func (h *containerHandlers) prune(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	report, err := h.backend.Prune(ctx, f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// noContent answers 204 unless there is an error.
func noContent(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
