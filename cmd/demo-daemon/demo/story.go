package demo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
	"github.com/pouchfx/pouchfx/examples/plugins/pulls"
	"github.com/pouchfx/pouchfx/examples/plugins/stamp"
	"github.com/pouchfx/pouchfx/modules/registry"
)

const (
	volumeName    = "demo-data"
	containerName = "demo-guest"

	memoryDefault = 64 << 20
	memoryMost    = 96 << 20
)

// story is one run of the demo.
type story struct {
	*narrator
	root      string
	daemon    *daemon
	traces    traces // of the container, while it runs
	reference string
}

// tell tells the whole story. Its error is of a step that could not be made.
func (s *story) tell(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{
		s.daemonStarts, s.routesChange, s.imageIsPulled, s.volumeIsMade, s.networksAreMade, s.containerIsMade, s.containerRuns,
		s.containerIsUpdated, s.containerGoes, s.podRuns, s.daemonStops,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) diary() string { return s.root + "/diary" }

func (s *story) daemonStarts(ctx context.Context) (err error) {
	s.chapter("A daemon starts, with containerd inside it, under %s", s.root)
	s.daemon, err = startDaemon(ctx, s.root, fmt.Sprintf(`plugins:
  diary: {file: %q}
  limits: {memory: %d, most: %d}
  volume-labels: {labels: {team: demo}}
  uplink: {network: %s, vendor: %q, search: [demo.example]}
  tenants: {namespaces: {%s: %s}}
`, s.diary(), memoryDefault, memoryMost, frontNetwork, vendor, podNamespace, tenant))
	if err != nil {
		return err
	}
	var list []registry.Info
	if _, err := s.daemon.get(ctx, "/pouchfx/plugins", &list); err != nil {
		return err
	}
	s.say("It has these plugins, in this order:")
	for _, p := range list {
		s.say("  %-14s %v, priority %d", p.Name, p.Kinds, p.Policy.Priority)
	}
	text, _ := os.ReadFile(s.diary())
	s.claim(strings.Contains(string(text), "good morning"), fmt.Sprintf("%s: %s", s.diary(), text),
		"diary (daemon plugin) wrote into its file in PreStartHook")
	return nil
}

func (s *story) routesChange(ctx context.Context) error {
	s.chapter("The API is assembled: UpdateHandler")
	var routes []string
	if _, err := s.daemon.get(ctx, "/example/routes", &routes); err != nil {
		return err
	}
	s.claim(slices.Contains(routes, "GET /example/pulls"), fmt.Sprintf("GET /example/routes lists %d routes, GET /example/pulls among them", len(routes)),
		"stamp and pulls (API plugins) added routes of their own")
	var version map[string]any
	header, err := s.daemon.get(ctx, "/v1.44/version", &version)
	if err != nil {
		return err
	}
	s.claim(header.Get(stamp.Header) == "GET /version", fmt.Sprintf("GET /v1.44/version answers with the header %s: %s", stamp.Header, header.Get(stamp.Header)),
		"stamp wrapped the routes that Docker has")
	return nil
}

func (s *story) imageIsPulled(ctx context.Context) error {
	server := startRegistry()
	defer server.Close()
	reference, digest, err := push(ctx, server)
	if err != nil {
		return err
	}
	s.reference = reference
	s.chapter("An image is pulled from a registry on loopback: %s", reference)
	pull, err := s.daemon.ImagePull(ctx, reference, client.ImagePullOptions{})
	if err != nil {
		return fmt.Errorf("cannot pull: %w", err)
	}
	if err := pull.Wait(ctx); err != nil {
		return fmt.Errorf("cannot pull: %w", err)
	}
	var noted []pulls.Pull
	if _, err := s.daemon.get(ctx, "/example/pulls", &noted); err != nil {
		return err
	}
	s.claim(len(noted) == 1 && noted[0].Digest == digest, fmt.Sprintf("GET /example/pulls: %+v", noted),
		"pulls (image plugin) noted the image after it was unpacked")
	return nil
}

func (s *story) volumeIsMade(ctx context.Context) error {
	s.chapter("A volume is made, without labels: %s", volumeName)
	if _, err := s.daemon.VolumeCreate(ctx, client.VolumeCreateOptions{Name: volumeName}); err != nil {
		return fmt.Errorf("cannot create the volume: %w", err)
	}
	v, err := s.daemon.VolumeInspect(ctx, volumeName, client.VolumeInspectOptions{})
	if err != nil {
		return err
	}
	s.claim(v.Volume.Labels["team"] == "demo", fmt.Sprintf("docker volume inspect: labels %v", v.Volume.Labels),
		"volume-labels (volume plugin) gave it a label")
	return nil
}

func (s *story) containerIsMade(ctx context.Context) error {
	s.chapter("A container is made, without a memory limit")
	o := client.ContainerCreateOptions{
		Name:       containerName,
		Config:     &container.Config{Image: s.reference},
		HostConfig: &container.HostConfig{Binds: []string{volumeName + ":/data"}},
	}
	onNetworks(&o)
	if _, err := s.daemon.ContainerCreate(ctx, o); err != nil {
		return fmt.Errorf("cannot create the container: %w", err)
	}
	c, err := s.daemon.ContainerInspect(ctx, containerName, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	memory := c.Container.HostConfig.Memory
	s.claim(memory == memoryDefault, "docker inspect: Memory "+units.BytesSize(float64(memory)),
		"limits (container plugin) gave it a limit in PreCreate")
	return nil
}

func (s *story) containerRuns(ctx context.Context) error {
	s.chapter("The container is started")
	if _, err := s.daemon.ContainerStart(ctx, containerName, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("cannot start the container: %w", err)
	}
	c, err := s.daemon.ContainerInspect(ctx, containerName, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if s.traces, err = tracesOf(c.Container.State.Pid); err != nil {
		return err
	}
	inside, err := s.inside(ctx, func(f facts.Facts) bool { return f.VolumeFile != "" })
	if err != nil {
		return err
	}
	i := slices.IndexFunc(inside.Env, func(v string) bool { return strings.HasPrefix(v, "MEMORY_LIMIT=") })
	env := "there is none"
	if i >= 0 {
		env = inside.Env[i]
	}
	s.claim(env == "MEMORY_LIMIT=64MiB", "inside, its environment: "+env, "limits told the container its limit")
	s.claim(inside.MemoryLimit == memoryDefault, "inside, its cgroup: "+units.BytesSize(float64(inside.MemoryLimit)), "and the kernel keeps it")
	s.claim(strings.Contains(inside.StartNote, c.Container.ID), fmt.Sprintf("inside, %s: %s", facts.StartNote, inside.StartNote),
		"limits' runtime hook, from PreStart, left the runtime's state before the container's process began")
	s.claim(inside.VolumeFile != "", fmt.Sprintf("inside, %s: %s", facts.VolumeFile, inside.VolumeFile), "the volume is mounted and writable")
	return s.containerIsReached(c.Container, inside)
}

func (s *story) containerIsUpdated(ctx context.Context) error {
	s.chapter("The container is updated while it runs: memory to 512 MiB")
	_, err := s.daemon.ContainerUpdate(ctx, containerName, client.ContainerUpdateOptions{
		Resources: &container.Resources{Memory: 512 << 20, MemorySwap: 1 << 30},
	})
	if err != nil {
		return fmt.Errorf("cannot update the container: %w", err)
	}
	inside, err := s.inside(ctx, nil)
	if err != nil {
		return err
	}
	s.claim(inside.MemoryLimit == memoryMost, "inside, its cgroup: "+units.BytesSize(float64(inside.MemoryLimit)),
		"limits lowered that to its maximum, 96 MiB, in PreUpdate")
	s.claim(inside.UpdateNote != "", fmt.Sprintf("inside, %s: %s", facts.UpdateNote, inside.UpdateNote),
		"and left a note in the root file system in PostUpdate")
	return nil
}

func (s *story) containerGoes(ctx context.Context) error {
	s.chapter("The container is stopped and removed; networks, volume and image go too")
	if _, err := s.daemon.ContainerStop(ctx, containerName, client.ContainerStopOptions{}); err != nil {
		return fmt.Errorf("cannot stop the container: %w", err)
	}
	c, err := s.daemon.ContainerInspect(ctx, containerName, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	s.claim(c.Container.State.ExitCode == 0, fmt.Sprintf("docker inspect: %s, exit code %d", c.Container.State.Status, c.Container.State.ExitCode),
		"it ended by itself when it was told to")
	if _, err := s.daemon.ContainerRemove(ctx, containerName, client.ContainerRemoveOptions{}); err != nil {
		return fmt.Errorf("cannot remove the container: %w", err)
	}
	if err := s.networksGo(ctx); err != nil {
		return err
	}
	v, err := s.daemon.VolumeInspect(ctx, volumeName, client.VolumeInspectOptions{})
	if err != nil {
		return err
	}
	kept, _ := os.ReadFile(v.Volume.Mountpoint + "/greeting")
	s.claim(len(kept) > 0, "on the host, in the volume: "+string(kept), "what it wrote outlived it")
	if _, err := s.daemon.VolumeRemove(ctx, volumeName, client.VolumeRemoveOptions{}); err != nil {
		return fmt.Errorf("cannot remove the volume: %w", err)
	}
	if _, err := s.daemon.ImageRemove(ctx, s.reference, client.ImageRemoveOptions{}); err != nil {
		return fmt.Errorf("cannot remove the image: %w", err)
	}
	return nil
}
