package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/types"
)

// networkHandlers serve /networks. There are the two networks that need no
// setting up; clients ask for them all the same.
type networkHandlers struct{ backend Containers }

func (h *networkHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/networks", h.list),
		types.NewHandlerSpec("GET", "/networks/{id}", h.inspect),
		types.NewHandlerSpec("POST", "/networks/prune", h.prune),
		types.NewHandlerSpec("POST", "/networks/create", h.refuse),
		types.NewHandlerSpec("POST", "/networks/{id}/connect", h.refuse),
		types.NewHandlerSpec("POST", "/networks/{id}/disconnect", h.refuse),
		types.NewHandlerSpec("DELETE", "/networks/{id}", h.remove),
	}
}

// predefined are the networks, by their names and drivers.
var predefined = []network.Network{
	predefinedNetwork(network.NetworkHost, "host"),
	predefinedNetwork(network.NetworkNone, "null"),
}

func predefinedNetwork(name, driver string) network.Network {
	id := sha256.Sum256([]byte("pouchfx network " + name))
	return network.Network{
		Name: name, ID: hex.EncodeToString(id[:]), Driver: driver, Scope: "local", EnableIPv4: true,
		IPAM: network.IPAM{Driver: "default"}, Options: map[string]string{}, Labels: map[string]string{},
	}
}

func (h *networkHandlers) list(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	if err := f.Validate("dangling", "driver", "id", "label", "name", "scope", "type"); err != nil {
		return err
	}
	found := []network.Inspect{}
	for _, n := range predefined {
		if f.Match("name", n.Name) && f.Prefix("id", n.ID) && f.Exact("driver", n.Driver) && f.Exact("scope", n.Scope) &&
			f.Exact("type", "builtin") && f.Labels(n.Labels) && f.Exact("dangling", "false") {
			found = append(found, network.Inspect{Network: n, Containers: map[string]network.EndpointResource{}})
		}
	}
	return writeJSON(w, http.StatusOK, found)
}

// inspect shows a network with the running containers that are on it.
func (h *networkHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	n, err := findNetwork(r.PathValue("id"))
	if err != nil {
		return err
	}
	running, err := h.backend.List(ctx, containers.ListOptions{})
	if err != nil {
		return err
	}
	found := network.Inspect{Network: n, Containers: map[string]network.EndpointResource{}}
	for _, c := range running {
		if c.NetworkSettings == nil || c.NetworkSettings.Networks[n.Name] == nil || len(c.Names) == 0 {
			continue
		}
		found.Containers[c.ID] = network.EndpointResource{
			Name: strings.TrimPrefix(c.Names[0], "/"), EndpointID: c.NetworkSettings.Networks[n.Name].EndpointID,
		}
	}
	return writeJSON(w, http.StatusOK, found)
}

func findNetwork(nameOrID string) (network.Network, error) {
	for _, n := range predefined {
		if n.Name == nameOrID || nameOrID != "" && strings.HasPrefix(n.ID, nameOrID) {
			return n, nil
		}
	}
	return network.Network{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("network %s not found", nameOrID))
}

func (h *networkHandlers) refuse(context.Context, http.ResponseWriter, *http.Request) error {
	return errdefs.ErrNotImplemented.WithMessage("networks cannot be made or connected: this daemon has the networks none and host, choose one with --network")
}

func (h *networkHandlers) remove(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
	n, err := findNetwork(r.PathValue("id"))
	if err != nil {
		return err
	}
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("%s is a pre-defined network and cannot be removed", n.Name))
}

// prune finds nothing: predefined networks are never pruned.
func (h *networkHandlers) prune(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, network.PruneReport{NetworksDeleted: []string{}})
}
