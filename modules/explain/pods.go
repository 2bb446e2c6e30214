package explain

import (
	"context"
	"fmt"
	"regexp"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// Pods explains the containers of pods.
type Pods struct {
	// Engine has a client of the namespace of pods; it is nil without CRI.
	Engine interface{ PodClient() *client.Client }
}

// hexadecimal is compiled when it is first needed: not at every start.
var hexadecimal = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^[0-9a-f]{1,64}$") })

// Explain tells what plugins did to a container, given by its id or the
// beginning of it, if that is one container's only. The error is an
// errdefs.ErrNotFound when there is none.
func (p Pods) Explain(ctx context.Context, id string) (*Explanation, error) {
	c := p.Engine.PodClient()
	if c == nil || !hexadecimal().MatchString(id) {
		return nil, errdefs.ErrNotFound.WithMessage("No such container: " + id)
	}
	found, err := c.ContainerService().List(namespaces.WithNamespace(ctx, containerd.PodNamespace), "id~=^"+id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("container %s: %w", id, err)
	case len(found) == 0:
		return nil, errdefs.ErrNotFound.WithMessage("No such container: " + id)
	case len(found) > 1:
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%d containers have an id that begins with %s: give more of it", len(found), id))
	}
	e, _, err := Decode(found[0].Extensions)
	return e, err
}
