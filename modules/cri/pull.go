package cri

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/cri/proxy"
	"github.com/pouchfx/pouchfx/plugins"
)

// restoreTimeout bounds the restoring of names after a pull that a hook
// refused.
const restoreTimeout = 10 * time.Second

// pullImage has upstream pull the image and runs PostPull on it. CRI gives the
// image its names before the hooks see it; when a hook fails they are as they
// were before the pull.
func (e *Endpoint) pullImage(ctx context.Context, request []byte, invoke proxy.Invoke) ([]byte, error) {
	r := &runtime.PullImageRequest{}
	if err := unmarshal(request, r); err != nil {
		return nil, err
	}
	named, err := reference.ParseDockerRef(r.GetImage().GetImage())
	if err != nil {
		return invoke(ctx, request) // for upstream to refuse
	}
	done, err := e.turns.take(ctx, named.String())
	if err != nil {
		return nil, err
	}
	defer done()
	before, err := e.images(ctx)
	if err != nil {
		return nil, err
	}
	response, err := invoke(ctx, request)
	if err != nil {
		return nil, err
	}
	pulled, err := e.params.Engine.PodClient().GetImage(namespaces.WithNamespace(ctx, containerd.PodNamespace), named.String())
	if err != nil {
		return nil, fmt.Errorf("image %s was pulled and is not there: %w", named, err)
	}
	asked := plugins.Request{FrontEnd: plugins.FrontEndCRI, Name: named.String(), RemoteUser: remoteUser(ctx)}
	if m := r.GetSandboxConfig().GetMetadata(); m != nil {
		asked.Pod = plugins.Pod{Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUid()}
	}
	if err := e.params.Images.PostPull(plugins.WithRequest(ctx, asked), e.params.Engine.Snapshotter(), pulled); err != nil {
		return nil, errors.Join(err, e.restoreNames(ctx, named, pulled, response, before))
	}
	return response, nil
}

// images lists the targets of all names.
func (e *Endpoint) images(ctx context.Context) (map[string]images.Image, error) {
	list, err := e.params.Engine.PodClient().ImageService().List(namespaces.WithNamespace(ctx, containerd.PodNamespace))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	all := make(map[string]images.Image, len(list))
	for _, i := range list {
		all[i.Name] = i
	}
	return all, nil
}

// restoreNames undoes what the pull did to the names of an image: the one
// that was asked for, the one by digest, and the id, which CRI makes a name of.
func (e *Endpoint) restoreNames(ctx context.Context, named reference.Named, pulled client.Image, response []byte, before map[string]images.Image) error {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.WithoutCancel(ctx), containerd.PodNamespace), restoreTimeout)
	defer cancel()
	names := []string{named.String()}
	if byDigest, err := reference.WithDigest(reference.TrimNamed(named), pulled.Target().Digest); err == nil {
		names = append(names, byDigest.String())
	}
	r := &runtime.PullImageResponse{}
	if err := unmarshal(response, r); err == nil {
		if id, err := digest.Parse(r.GetImageRef()); err == nil {
			names = append(names, id.String())
		}
	}
	store := e.params.Engine.PodClient().ImageService()
	var errs []error
	for _, name := range names {
		var err error
		if old, ok := before[name]; !ok {
			err = store.Delete(ctx, name)
		} else if old.Target.Digest != pulled.Target().Digest {
			_, err = store.Update(ctx, old, "target")
		}
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("image %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
