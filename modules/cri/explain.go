package cri

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// explainTimeout bounds the writing of what plugins did, which goes on when the
// caller has left.
const explainTimeout = 10 * time.Second

// explain keeps what hooks did to a container, if they did something. What
// cannot be kept undoes nothing.
func (e *Endpoint) explain(ctx context.Context, id string, hooks *registry.Operation, note func(*explain.Explanation, []registry.Change)) {
	if !hooks.Notable() {
		return
	}
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.WithoutCancel(ctx), containerd.PodNamespace), explainTimeout)
	defer cancel()
	err := explain.Note(ctx, e.params.Engine.PodClient().ContainerService(), id, func(e *explain.Explanation) { note(e, hooks.Changes()) })
	if err != nil {
		e.params.Log.Warn("cannot keep what plugins changed", zap.String("container", id), zap.Error(err))
	}
}

// explainCreate keeps what hooks did to the container that upstream made.
func (e *Endpoint) explainCreate(ctx context.Context, response []byte, hooks *registry.Operation) {
	made := &runtime.CreateContainerResponse{}
	if err := proto.Unmarshal(response, made); err != nil {
		e.params.Log.Warn("cannot keep what plugins changed", zap.Error(err))
		return
	}
	e.explain(ctx, made.GetContainerId(), hooks, func(e *explain.Explanation, changes []registry.Change) { e.Create = changes })
}

// undo undoes the hooks of a create that failed, whether the caller has left
// or not, and returns the error that tells of what is left behind, too.
func undo(ctx context.Context, hooks *registry.Operation, cause error) error {
	err := hooks.Undo(context.WithoutCancel(ctx))
	if err == nil {
		return cause
	}
	if s, ok := status.FromError(cause); ok { // upstream's
		return status.Errorf(s.Code(), "%s; %v", s.Message(), err)
	}
	return fmt.Errorf("%w; %v", cause, err) // the class is that of the cause
}
