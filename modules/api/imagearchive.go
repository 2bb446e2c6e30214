package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/pouchfx/pouchfx/modules/images"
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

// importArchive makes an image of the files in the body.
func (h *imageHandlers) importArchive(ctx context.Context, w http.ResponseWriter, r *http.Request, q *params) error {
	if source := q.text("fromSrc"); source != "-" {
		return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("importing from a URL is not supported: download %q yourself and give it as a file, or with docker import -", source))
	}
	target, err := optionalTarget(q.text("repo"), q.text("tag"))
	if err != nil {
		return err
	}
	platform, err := parsePlatform(q.text("platform"))
	if err != nil {
		return err
	}
	id, err := h.backend.Import(ctx, images.ImportOptions{
		Source: newUpload(w, r, uploadTimeout), Target: target, Platform: platform, Message: q.text("message"), Changes: q.values["changes"],
	})
	if err != nil {
		return err
	}
	out := &progress{stream: stream{w: w, lineEnd: "\r\n"}}
	out.message(jsonstream.Message{Status: id.String()})
	return nil
}
