package cri

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/cri/mapping"
	"github.com/pouchfx/pouchfx/plugins"
)

const (
	// Where containerd's CRI keeps what it knows of a sandbox and of a container.
	sandboxExtension   = "metadata"
	containerExtension = "io.cri-containerd.container.metadata"
)

// sandbox is what containerd's CRI stored of a pod's sandbox.
type sandbox struct {
	Config         *runtime.PodSandboxConfig
	NetNSPath      string
	RuntimeHandler string
}

// pod names the sandbox's pod.
func (s *sandbox) pod() plugins.Pod {
	m := s.Config.GetMetadata()
	return plugins.Pod{Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUid()}
}

// container is what containerd's CRI stored of a container.
type container struct {
	SandboxID        string
	Config           *runtime.ContainerConfig
	client.Container `json:"-"`
}

// request tells the hooks who asks for what.
func (c *container) request(ctx context.Context, s *sandbox) plugins.Request {
	return plugins.Request{
		FrontEnd: plugins.FrontEndCRI, Name: c.Config.GetMetadata().GetName(), ID: c.ID(), RemoteUser: remoteUser(ctx), Pod: s.pod(),
		Image: mapping.ImageName(c.Config.GetImage()), Labels: maps.Clone(c.Config.GetLabels()),
	}
}

// loadSandbox reads the record of a sandbox. Like CRI itself it takes the
// beginning of an id for the id.
func (e *Endpoint) loadSandbox(ctx context.Context, id string) (*sandbox, error) {
	ctx = namespaces.WithNamespace(ctx, containerd.PodNamespace)
	store := e.params.Engine.PodClient().SandboxStore()
	found, err := store.Get(ctx, id)
	if errdefs.IsNotFound(err) && shortID().MatchString(id) {
		all, listed := store.List(ctx)
		if listed != nil {
			return nil, fmt.Errorf("sandbox %s: %w", id, listed)
		}
		for _, s := range all {
			if len(s.ID) > len(id) && s.ID[:len(id)] == id {
				found, err = s, nil
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox %s: %w", id, err)
	}
	s := &sandbox{}
	return s, decode(found.Extensions[sandboxExtension], s, "sandbox "+id)
}

// loadContainer reads the record of a container, of whose id the beginning is
// enough.
func (e *Endpoint) loadContainer(ctx context.Context, id string) (*container, error) {
	ctx = namespaces.WithNamespace(ctx, containerd.PodNamespace)
	found, err := e.params.Engine.PodClient().LoadContainer(ctx, id)
	if errdefs.IsNotFound(err) && shortID().MatchString(id) {
		all, listed := e.params.Engine.PodClient().Containers(ctx, "id~=^"+id)
		if listed == nil && len(all) == 1 {
			found, err = all[0], nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	extensions, err := found.Extensions(ctx)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	c := &container{Container: found}
	return c, decode(extensions[containerExtension], c, "container "+id)
}

// shortID matches the beginning of an id.
func shortID() *regexp.Regexp { return regexp.MustCompile("^[0-9a-f]{1,63}$") }

// decode reads what CRI stored of an object.
func decode(stored typeurl.Any, into any, name string) error {
	if stored == nil {
		return fmt.Errorf("%s is not of CRI: %w", name, errdefs.ErrNotFound)
	}
	versioned := struct {
		Version  string
		Metadata any
	}{Metadata: into}
	if err := json.Unmarshal(stored.GetValue(), &versioned); err != nil {
		return fmt.Errorf("cannot read what CRI stored of %s: %w", name, err)
	}
	if versioned.Version != "v1" {
		return fmt.Errorf("cannot read what CRI stored of %s: version %q is not known", name, versioned.Version)
	}
	return nil
}
