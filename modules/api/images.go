package api

import (
	"context"
	"net/http"

	"github.com/distribution/reference"

	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/types"
)

// imageHandlers serve /images and what else is about registries.
type imageHandlers struct{ backend Images }

func (h *imageHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/images/json", h.list),
		types.NewHandlerSpec("POST", "/images/create", h.pull),
		types.NewHandlerSpec("POST", "/images/load", h.load),
		types.NewHandlerSpec("POST", "/images/prune", h.prune),
		types.NewHandlerSpec("POST", "/images/{name:.*}/push", h.push),
		types.NewHandlerSpec("GET", "/images/get", h.save),
		types.NewHandlerSpec("GET", "/images/{name:.*}/get", h.saveOne),
		types.NewHandlerSpec("GET", "/images/{name:.*}/json", h.inspect),
		types.NewHandlerSpec("GET", "/images/{name:.*}/history", h.history),
		types.NewHandlerSpec("POST", "/images/{name:.*}/tag", h.tag),
		types.NewHandlerSpec("DELETE", "/images/{name:.*}", h.remove),
		types.NewHandlerSpec("GET", "/images/search", h.search),
		types.NewHandlerSpec("GET", "/distribution/{name:.*}/json", h.distribution),
		types.NewHandlerSpec("POST", "/auth", h.auth),
	}
}

func (h *imageHandlers) list(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	o := images.ListOptions{All: q.flag("all"), Filters: q.filters(), SharedSize: q.flag("shared-size")}
	if q.err != nil {
		return q.err
	}
	if name := q.text("filter"); name != "" && !o.Filters.Has("reference") { // before filters
		o.Filters = o.Filters.With("reference", name)
	}
	all, err := h.backend.List(ctx, o)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, legacyImages(ctx, all))
}

func (h *imageHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	found, err := h.backend.Inspect(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, legacyImage(ctx, found))
}

func (h *imageHandlers) history(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	layers, err := h.backend.History(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list(layers))
}

func (h *imageHandlers) tag(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	target, err := targetReference(q.text("repo"), q.text("tag"))
	if err != nil {
		return err
	}
	if err := h.backend.Tag(ctx, r.PathValue("name"), target); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// targetReference reads the name that an image is to get. Without a tag it is
// "latest"; a digest cannot be chosen.
func targetReference(repo, tag string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return nil, badReference(repo, err)
	}
	if _, isDigest := named.(reference.Digested); isDigest {
		return nil, badRequest("refusing to create a tag with a digest reference: %q", repo)
	}
	if tag != "" {
		tagged, err := reference.WithTag(reference.TrimNamed(named), tag)
		if err != nil {
			return nil, badRequest("invalid tag %q: %v", tag, err)
		}
		return tagged, nil
	}
	return reference.TagNameOnly(named).(reference.NamedTagged), nil
}

func (h *imageHandlers) remove(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	removed, err := h.backend.Remove(ctx, r.PathValue("name"), q.flag("force"), q.flag("noprune"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list(removed))
}

func (h *imageHandlers) prune(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
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
