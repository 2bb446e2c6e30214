package containers

import (
	"maps"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"os"
)

// mergeImage fills in what the client left to the image, as dockerd does.
func mergeImage(c *container.Config, img *dockerspec.DockerOCIImageConfig) {
	if c.User == "" {
		c.User = img.User
	}
	if c.WorkingDir == "" {
		c.WorkingDir = img.WorkingDir
	}
	if c.StopSignal == "" {
		c.StopSignal = img.StopSignal
	}
	if len(c.Shell) == 0 {
		c.Shell = slices.Clone(img.Shell)
	}
	c.Healthcheck = mergeHealth(c.Healthcheck, img.Healthcheck)
	c.ExposedPorts = maps.Clone(c.ExposedPorts)
	for text := range img.ExposedPorts {
		port, err := network.ParsePort(text)
		if err != nil {
			continue // an image may say anything; nothing is published from it alone
		}
		if c.ExposedPorts == nil {
			c.ExposedPorts = network.PortSet{}
		}
		c.ExposedPorts[port] = struct{}{}
	}
	env := slices.Clone(c.Env)
	for _, e := range img.Env {
		name, _, _ := strings.Cut(e, "=")
		given := slices.ContainsFunc(c.Env, func(have string) bool {
			n, _, _ := strings.Cut(have, "=")
			return n == name
		})
		if !given {
			env = append(env, e)
		}
	}
	c.Env = env
	labels := maps.Clone(img.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = slices.Clone(img.Cmd)
		}
		if c.Entrypoint == nil {
			c.Entrypoint = slices.Clone(img.Entrypoint)
		}
	}
	if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" { // --entrypoint ""
		c.Entrypoint = nil
	}
	if len(img.Volumes) > 0 {
		volumes := maps.Clone(img.Volumes)
		maps.Copy(volumes, c.Volumes)
		c.Volumes = volumes
	}
}

// defaultHostname is that of a container for which none was chosen.
func defaultHostname(id string, r *record) string {
	if r.HostConfig.NetworkMode.IsHost() {
		if name, err := os.Hostname(); err == nil {
			return name
		}
	}
	return id[:12]
}
