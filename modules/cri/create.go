package cri

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/cri/mapping"
	"github.com/pouchfx/pouchfx/modules/cri/proxy"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// AnnotationSpec is the annotation of a container in which those settings wait
// for its start that CRI has no field for, as JSON of mapping.Extra.
const AnnotationSpec = "pouchfx.io/spec"

// createContainer runs PreCreateContainer and PreCreate on the request. When
// they change nothing it passes as it came. When the create fails after them
// they are undone.
func (e *Endpoint) createContainer(ctx context.Context, request []byte, invoke proxy.Invoke) ([]byte, error) {
	ctx, hooks := registry.Begin(ctx)
	response, err := e.hookedCreate(ctx, request, invoke)
	if err != nil {
		return nil, undo(ctx, hooks, err)
	}
	e.explainCreate(ctx, response, hooks)
	return response, nil
}

func (e *Endpoint) hookedCreate(ctx context.Context, request []byte, invoke proxy.Invoke) ([]byte, error) {
	r := &runtime.CreateContainerRequest{}
	if err := unmarshal(request, r); err != nil {
		return nil, err
	}
	if _, ok := r.GetConfig().GetAnnotations()[AnnotationSpec]; ok {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("annotation %s belongs to this daemon: leave it out", AnnotationSpec))
	}
	before, after := mapping.Config(r), mapping.Config(r) // of which the hooks change the second
	if err := e.runCreateHooks(ctx, r, before, after); err != nil {
		return nil, err
	}
	result, err := carry(r, before, after)
	if err != nil {
		return nil, err
	}
	for _, w := range result.Warnings {
		e.params.Log.Warn("a hook's change may not do what it is meant to", zap.String("pod", r.GetSandboxConfig().GetMetadata().GetName()),
			zap.String("container", r.GetConfig().GetMetadata().GetName()), zap.String("warning", w))
	}
	if result.Changed {
		if request, err = proto.Marshal(r); err != nil {
			return nil, fmt.Errorf("container %s: %w", r.GetConfig().GetMetadata().GetName(), err)
		}
	}
	if err := ctx.Err(); err != nil { // nobody is waiting for the container
		return nil, err
	}
	return invoke(ctx, request)
}

// runCreateHooks leaves in after what the plugins made of before. A change
// that cannot be carried is its plugin's failure.
func (e *Endpoint) runCreateHooks(ctx context.Context, r *runtime.CreateContainerRequest, before, after *types.ContainerCreateConfig) error {
	meta, asked := e.describe(ctx, r)
	ctx = plugins.WithRequest(ctx, asked)
	ctx = registry.Checking(ctx, func(c *types.ContainerCreateConfig) error {
		_, err := carry(proto.Clone(r).(*runtime.CreateContainerRequest), before, c)
		return err
	})
	if err := e.params.Cri.PreCreateContainer(ctx, after, meta); err != nil {
		return err
	}
	return e.params.Containers.PreCreate(ctx, after)
}

// describe tells of the sandbox, and who asks. A sandbox that is not there is
// upstream's to refuse.
func (e *Endpoint) describe(ctx context.Context, r *runtime.CreateContainerRequest) (*types.SandboxMeta, plugins.Request) {
	meta := mapping.Sandbox(r)
	if s, err := e.loadSandbox(ctx, r.GetPodSandboxId()); err == nil {
		meta.NetNS, meta.Runtime = s.NetNSPath, s.RuntimeHandler
	}
	return meta, plugins.Request{
		FrontEnd: plugins.FrontEndCRI, Name: r.GetConfig().GetMetadata().GetName(), RemoteUser: remoteUser(ctx),
		Pod: plugins.Pod{Name: meta.Name, Namespace: meta.Namespace, UID: meta.UID},
	}
}

// carry writes into r what differs between before and after, with what CRI has
// no field for in the annotation.
func carry(r *runtime.CreateContainerRequest, before, after *types.ContainerCreateConfig) (mapping.Result, error) {
	result, err := mapping.Apply(r, before, after)
	if err != nil || result.Extra.Empty() {
		return result, err
	}
	text, err := json.Marshal(result.Extra)
	if err != nil {
		return result, err
	}
	if r.Config.Annotations == nil {
		r.Config.Annotations = map[string]string{}
	}
	r.Config.Annotations[AnnotationSpec] = string(text)
	result.Changed = true
	return result, nil
}

// unmarshal decodes a request that the hooks must see: what we cannot read
// does not pass them by.
func unmarshal(request []byte, into proto.Message) error {
	if err := proto.Unmarshal(request, into); err != nil {
		return errdefs.ErrInvalidArgument.WithMessage("cannot read the request: " + err.Error())
	}
	return nil
}
