package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/types"
)

// archiveHandlers serve the files of containers.
type archiveHandlers struct{ backend Files }

func (h *archiveHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("HEAD", "/containers/{name:.*}/archive", h.stat),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/archive", h.copyFrom),
		types.NewHandlerSpec("PUT", "/containers/{name:.*}/archive", h.copyTo),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/export", h.export),
		types.NewHandlerSpec("GET", "/containers/{name:.*}/changes", h.changes),
	}
}

// pathOf reads the path in a container that a request is about.
func pathOf(q *params) (string, error) {
	at := q.text("path")
	if q.err == nil && at == "" {
		return "", badRequest("bad parameter: path cannot be empty")
	}
	return at, q.err
}

// stat answers with a header: what is at the path.
func (h *archiveHandlers) stat(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	at, err := pathOf(query(r))
	if err != nil {
		return err
	}
	st, err := h.backend.PathStat(ctx, r.PathValue("name"), at)
	if err != nil {
		return err
	}
	return setPathStat(w, st)
}

func setPathStat(w http.ResponseWriter, st container.PathStat) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(text))
	return nil
}

// copyFrom sends what is at the path as a tar archive.
func (h *archiveHandlers) copyFrom(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	at, err := pathOf(query(r))
	if err != nil {
		return err
	}
	return h.backend.CopyFrom(ctx, r.PathValue("name"), at, func(st container.PathStat) io.Writer {
		w.Header().Set("Content-Type", "application/x-tar")
		_ = setPathStat(w, st) // it can be encoded
		return newDownload(w)
	})
}

// copyTo unpacks the tar archive in the body. Meanwhile the container cannot be
// started.
func (h *archiveHandlers) copyTo(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	at, err := pathOf(q)
	if err != nil {
		return err
	}
	return h.backend.CopyTo(ctx, r.PathValue("name"), containers.CopyToOptions{
		Path: at, NoOverwriteDirNonDir: q.flag("noOverwriteDirNonDir"), CopyUIDGID: q.flag("copyUIDGID"),
	}, newUpload(w, r, heldTimeout))
}

// export sends the root filesystem as a tar archive.
func (h *archiveHandlers) export(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return h.backend.Export(ctx, r.PathValue("name"), func() io.Writer {
		w.Header().Set("Content-Type", "application/octet-stream")
		return newDownload(w)
	})
}

// changes lists what a container changed in its root filesystem; null when
// there is nothing.
func (h *archiveHandlers) changes(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	found, err := h.backend.Changes(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

// download is an answer that may take long as long as the client reads it.
type download struct {
	io.Writer
	control *http.ResponseController
}

func newDownload(w http.ResponseWriter) *download {
	return &download{w, http.NewResponseController(w)}
}

func (d *download) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(uploadTimeout))
	return d.Writer.Write(p)
}
