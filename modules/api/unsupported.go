package api

import (
	"context"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/plugin"

	"github.com/pouchfx/pouchfx/types"
)

// unsupported answers for what Docker's clients ask and this daemon does not
// do, so that they tell their users why.
type unsupported struct{}

const buildElsewhere = "building images is not supported: build with BuildKit (buildctl, or docker buildx create --driver remote), buildah or kaniko, then docker pull or docker load; docker import and docker commit make images, too"

// What is not done, and what to do instead.
var refused = []struct{ method, path, text string }{
	{"POST", "/build", buildElsewhere},
	{"POST", "/session", buildElsewhere},
	{"POST", "/grpc", buildElsewhere},
}

// swarmPaths are the resources of a cluster.
var swarmPaths = []string{"/swarm", "/services", "/nodes", "/tasks", "/secrets", "/configs"}

func (u unsupported) routes() []*types.HandlerSpec {
	all := []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/plugins", u.plugins),
		types.NewHandlerSpec("GET", "/plugins/{name:.*}/json", u.plugin),
		types.NewHandlerSpec("POST", "/build/prune", u.buildPrune),
	}
	for _, r := range refused {
		all = append(all, types.NewHandlerSpec(r.method, r.path, refuse(errdefs.ErrNotImplemented.WithMessage(r.text))))
	}
	noSwarm := refuse(errdefs.ErrUnavailable.WithMessage("This node is not a swarm manager: this daemon has no swarm"))
	for _, path := range swarmPaths {
		all = append(all,
			types.NewHandlerSpec("GET", path, noSwarm),
			types.NewHandlerSpec("GET", path+"/{rest:.*}", noSwarm),
			types.NewHandlerSpec("POST", path+"/{rest:.*}", noSwarm),
			types.NewHandlerSpec("DELETE", path+"/{rest:.*}", noSwarm),
		)
	}
	return all
}

func refuse(err error) types.Handler {
	return func(context.Context, http.ResponseWriter, *http.Request) error { return err }
}

// plugins lists Docker's own kind of plugins; ours are under /pouchfx.
func (unsupported) plugins(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, plugin.ListResponse{})
}

func (unsupported) plugin(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
	return errdefs.ErrNotFound.WithMessage("plugin \"" + r.PathValue("name") + "\" not found")
}

// buildPrune is part of docker system prune: there is no build cache.
func (unsupported) buildPrune(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, build.CachePruneReport{})
}
