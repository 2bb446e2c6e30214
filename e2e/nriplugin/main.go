// Command nriplugin is an NRI plugin, as people run them beside containerd, that
// does to a container what its label "nri" asks for.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

type plugin struct{}

// CreateContainer adjusts, hangs or dies.
func (plugin) CreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	a := &api.ContainerAdjustment{}
	switch c.Labels["nri"] {
	case "adjust":
		a.AddEnv("FROM_NRI", c.Name)
		a.AddAnnotation("org.example.nri", "seen")
		a.AddMount(&api.Mount{Source: os.Args[2], Destination: "/from-nri", Type: "bind", Options: []string{"rbind", "ro"}})
		a.AddDevice(&api.LinuxDevice{Path: "/dev/nri", Type: "c", Major: 1, Minor: 5})
		a.AddRlimit("RLIMIT_NOFILE", 333, 333)
		a.SetLinuxPidLimits(77)
		a.AddHooks(&api.Hooks{CreateRuntime: []*api.Hook{{Path: os.Args[2] + "/hook", Args: []string{"hook", "argument"}}}})
	case "cgroup":
		a.SetLinuxCgroupsPath("/elsewhere")
	case "hang":
		select {}
	case "die":
		os.Exit(3)
	}
	return a, nil, nil
}

// StartContainer leaves a note.
func (plugin) StartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return os.WriteFile(os.Args[2]+"/started", []byte(c.Id), 0o644)
}

// nriplugin SOCKET FOLDER
func main() {
	s, err := stub.New(plugin{}, stub.WithSocketPath(os.Args[1]), stub.WithPluginIdx("10"), stub.WithPluginName("obliging"))
	if err == nil {
		err = s.Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
