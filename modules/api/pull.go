package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"

	"github.com/pouchfx/pouchfx/modules/images"
)

// uploadTimeout bounds how long an upload may pause: longer than other
// requests, for somebody may have to type a password at its other end.
// heldTimeout is that of one for which others wait once it has begun.
const (
	uploadTimeout = 5 * time.Minute
	heldTimeout   = 20 * time.Second
)

// pull fetches an image and tells how far it is. What fails before the first
// news gets an ordinary answer.
func (h *imageHandlers) pull(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	if q.text("fromSrc") != "" {
		return h.importArchive(ctx, w, r, q)
	}
	ref, err := pullReference(q.text("fromImage"), q.text("tag"))
	if err != nil {
		return err
	}
	platform, err := parsePlatform(q.text("platform"))
	if err != nil {
		return err
	}
	out := &progress{stream: stream{w: w, lineEnd: "\r\n"}}
	o := images.PullOptions{Platform: platform, Auth: credentials(r), Progress: out.message}
	if reference.IsNameOnly(ref) {
		return out.end(h.backend.PullAll(ctx, ref, o))
	}
	_, err = h.backend.Pull(ctx, ref, o)
	return out.end(err)
}

// pullReference joins the parameters: tag may be a digest, and be in the name
// already. Without either all tags are meant; then some clients leave the colon
// of a tag.
func pullReference(image, tag string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(strings.TrimSuffix(image, ":"))
	if err != nil {
		return nil, badReference(image, err)
	}
	switch {
	case tag == "":
		return named, nil
	case strings.Contains(tag, ":"):
		d, err := digest.Parse(tag)
		if err != nil {
			return nil, badRequest("invalid digest %q: %v", tag, err)
		}
		return reference.WithDigest(reference.TrimNamed(named), d)
	}
	tagged, err := reference.WithTag(reference.TrimNamed(named), tag)
	if err != nil {
		return nil, badRequest("invalid tag %q: %v", tag, err)
	}
	return tagged, nil
}

// badReference is Docker's message, which alone does not say of what.
func badReference(name string, err error) error {
	if name == "" {
		return badRequest("invalid reference format: the name of the image is missing")
	}
	return badRequest("%v: %q", err, name)
}

// load reads an image archive from the body.
func (h *imageHandlers) load(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	body := newUpload(w, r, uploadTimeout)
	// News may come while the body is read: HTTP/1 clients are not ready for
	// that unless both sides agree.
	_ = http.NewResponseController(w).EnableFullDuplex()
	out := &progress{stream: stream{w: w, lineEnd: "\r\n"}}
	_, err := h.backend.Load(ctx, body, out.message)
	return out.end(err)
}

// upload is a body that may take long as long as it moves.
type upload struct {
	body    io.Reader
	control *http.ResponseController
	// How long it may pause before anything has come, and afterwards.
	first, pause time.Duration
}

func newUpload(w http.ResponseWriter, r *http.Request, pause time.Duration) *upload {
	return &upload{r.Body, http.NewResponseController(w), uploadTimeout, pause}
}

func (u *upload) Read(p []byte) (int, error) {
	_ = u.control.SetReadDeadline(time.Now().Add(u.first))
	n, err := u.body.Read(p)
	if n > 0 {
		u.first = u.pause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowBody
	}
	return n, err
}

// progress is the stream of messages of a pull or load.
type progress struct{ stream }

// progressMessage has the fields that clients before API 1.52 look for.
type progressMessage struct {
	jsonstream.Message
	ErrorText string `json:"error,omitempty"`
}

// message sends one message. A client that has gone is noticed by the
// request's context.
func (p *progress) message(m jsonstream.Message) {
	_ = p.send(progressMessage{Message: m})
}

// end finishes the answer: an error goes into the stream when it has begun.
func (p *progress) end(err error) error {
	switch {
	case err != nil && !p.begun:
		return err
	case err != nil:
		_ = p.send(progressMessage{
			Message:   jsonstream.Message{Error: &jsonstream.Error{Code: statusOf(err), Message: err.Error()}},
			ErrorText: err.Error(),
		})
	case !p.begun:
		_ = p.begin()
	}
	return nil
}
