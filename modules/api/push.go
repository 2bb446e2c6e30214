package api

import (
	"context"
	"net/http"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"github.com/pouchfx/pouchfx/modules/images"
)

// push sends an image to its registry and tells how far it is. Without a tag,
// in the name or beside it, all tags of the repository are pushed.
func (h *imageHandlers) push(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	ref, err := pushReference(r.PathValue("name"), q.text("tag"))
	if err != nil {
		return err
	}
	out := &progress{stream: stream{w: w, lineEnd: "\r\n"}}
	return out.end(h.backend.Push(ctx, ref, images.PushOptions{Auth: credentials(r), Progress: out.message}))
}

// credentials are what a request brings for the registry. As in dockerd a
// header that cannot be read counts as none: clients are known that send such.
func credentials(r *http.Request) *registry.AuthConfig {
	auth, _ := authconfig.Decode(r.Header.Get(registry.AuthHeader))
	return auth
}

func pushReference(name, tag string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, badReference(name, err)
	}
	if tag == "" {
		return named, nil
	}
	tagged, err := reference.WithTag(reference.TrimNamed(named), tag)
	if err != nil {
		return nil, badRequest("invalid tag %q: %v", tag, err)
	}
	return tagged, nil
}
