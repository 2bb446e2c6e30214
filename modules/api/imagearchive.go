package api

import (
	"context"
	"net/http"
)

// save answers GET /images/get?names=… with an archive of several images.
func (h *imageHandlers) save(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	return h.sendArchive(ctx, w, q.values["names"])
}

// saveOne answers GET /images/{name}/get.
func (h *imageHandlers) saveOne(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return h.sendArchive(ctx, w, []string{r.PathValue("name")})
}

// sendArchive writes an archive. An error before its first byte is an ordinary
// answer; one after it breaks the answer off.
func (h *imageHandlers) sendArchive(ctx context.Context, w http.ResponseWriter, names []string) error {
	w.Header().Set("Content-Type", "application/x-tar")
	return h.backend.Save(ctx, names, newDownload(w))
}
