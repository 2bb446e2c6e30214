package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// obliging does what the annotations of a pod ask for:
//
//	obliging/refuse    the container is not made, and this is why
//	obliging/env       more environment, separated by blanks
//	obliging/nofile    a limit of open files, which CRI has no field for
//	obliging/restart   a restart policy, which is kubelet's and nobody else's
//
// and refuses images that are tagged "unwanted".
type obliging struct{}

func newObliging(struct{}) (*obliging, error) { return &obliging{}, nil }

// PreCreateContainer implements plugins.CriPlugin.
func (*obliging) PreCreateContainer(ctx context.Context, c *types.ContainerCreateConfig, sandbox interface{}) error {
	pod, ok := sandbox.(*types.SandboxMeta)
	if !ok {
		return fmt.Errorf("the sandbox is a %T", sandbox)
	}
	if why := pod.Annotations["obliging/refuse"]; why != "" {
		return errors.New(why)
	}
	if asked := plugins.RequestFrom(ctx); asked.FrontEnd != plugins.FrontEndCRI || asked.Pod.Name != pod.Name {
		return fmt.Errorf("asked by %+v for pod %s", asked, pod.Name)
	}
	c.Env = append(c.Env, strings.Fields(pod.Annotations["obliging/env"])...)
	if text := pod.Annotations["obliging/nofile"]; text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		c.HostConfig.Ulimits = append(c.HostConfig.Ulimits, &container.Ulimit{Name: "nofile", Soft: n, Hard: n})
	}
	if text := pod.Annotations["obliging/restart"]; text != "" {
		c.HostConfig.RestartPolicy.Name = container.RestartPolicyMode(text)
	}
	return nil
}

// PostPull implements plugins.ImagePlugin.
func (*obliging) PostPull(_ context.Context, _ string, image containerd.Image) error {
	if strings.HasSuffix(image.Name(), ":unwanted") {
		return errors.New("nobody wants this image")
	}
	return nil
}
