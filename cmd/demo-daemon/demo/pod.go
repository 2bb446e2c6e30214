package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
	"github.com/pouchfx/pouchfx/examples/plugins/pulls"
)

const (
	podNamespace = "shop"
	tenant       = "blue"
)

// podRuns plays kubelet: it has CRI pull the image, run a pod on the demo's
// network, and remove it.
func (s *story) podRuns(ctx context.Context) (err error) {
	s.chapter("A pod is run, as kubelet does it: over CRI")
	conn, err := grpc.NewClient(s.daemon.criHost(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	k := kubelet{runtime.NewRuntimeServiceClient(conn), runtime.NewImageServiceClient(conn)}
	server := startRegistry()
	defer server.Close()
	image, digest, err := push(ctx, server)
	if err != nil {
		return err
	}
	if _, err := k.PullImage(ctx, &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: image}}); err != nil {
		return fmt.Errorf("cannot pull over CRI: %w", err)
	}
	var noted []pulls.Pull
	if _, err := s.daemon.get(ctx, "/example/pulls", &noted); err != nil {
		return err
	}
	s.claim(len(noted) == 2 && noted[1].Digest == digest, fmt.Sprintf("GET /example/pulls: %d pulls, the last of %s", len(noted), image),
		"pulls (image plugin) noted this image too")

	// In a group of its own, which is removed with it.
	group := fmt.Sprintf("/pouchfx-demo-%d", os.Getpid())
	defer func() { err = errors.Join(err, removeGroup(group)) }()
	pod, err := k.run(ctx, image, group)
	if err != nil {
		return err
	}
	seen, err := k.look(ctx, pod.container)
	if err != nil {
		return err
	}
	s.claim(slices.Contains(seen.Env, "TENANT="+tenant), "inside, its environment: "+variable(seen.Env, "TENANT"),
		"tenants (CRI plugin) told it by its namespace whose it is, in PreCreateContainer")
	s.claim(seen.MemoryLimit == memoryDefault, "inside, its cgroup: "+units.BytesSize(float64(seen.MemoryLimit)),
		"limits (container plugin) gave it a limit in PreCreate, as to any container")
	s.claim(strings.Contains(seen.StartNote, pod.container), fmt.Sprintf("inside, %s: %s", facts.StartNote, seen.StartNote),
		"and its runtime hook, from PreStart, ran before the container's process")
	return k.remove(ctx, pod, image)
}

// variable is a variable of an environment with its value.
func variable(env []string, name string) string {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") {
			return v
		}
	}
	return "there is none"
}

// kubelet is what the demo does of a kubelet's work.
type kubelet struct {
	runtime.RuntimeServiceClient
	runtime.ImageServiceClient
}

type pod struct{ sandbox, container string }

func (k kubelet) run(ctx context.Context, image, group string) (p pod, err error) {
	config := &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: "demo", Namespace: podNamespace, Uid: "demo"},
		Linux: &runtime.LinuxPodSandboxConfig{CgroupParent: group, SecurityContext: &runtime.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtime.NamespaceOption{Network: runtime.NamespaceMode_NODE},
		}},
	}
	sandbox, err := k.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		return p, fmt.Errorf("cannot run a pod: %w", err)
	}
	p.sandbox = sandbox.PodSandboxId
	created, err := k.CreateContainer(ctx, &runtime.CreateContainerRequest{PodSandboxId: p.sandbox, SandboxConfig: config, Config: &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: "guest"}, Image: &runtime.ImageSpec{Image: image}, Linux: &runtime.LinuxContainerConfig{},
	}})
	if err != nil {
		return p, fmt.Errorf("cannot create a container over CRI: %w", err)
	}
	p.container = created.ContainerId
	if _, err := k.StartContainer(ctx, &runtime.StartContainerRequest{ContainerId: p.container}); err != nil {
		return p, fmt.Errorf("cannot start a container over CRI: %w", err)
	}
	return p, nil
}

// look runs the guest's report in a container.
func (k kubelet) look(ctx context.Context, container string) (seen facts.Facts, err error) {
	r, err := k.ExecSync(ctx, &runtime.ExecSyncRequest{ContainerId: container, Cmd: []string{"/guest", "report"}, Timeout: 20})
	if err != nil {
		return seen, fmt.Errorf("cannot look inside: %w", err)
	}
	if err := json.Unmarshal(r.Stdout, &seen); err != nil {
		return seen, fmt.Errorf("cannot look inside: %w: %s", err, r.Stderr)
	}
	return seen, nil
}

func (k kubelet) remove(ctx context.Context, p pod, image string) error {
	if _, err := k.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: p.sandbox}); err != nil {
		return fmt.Errorf("cannot stop the pod: %w", err)
	}
	if _, err := k.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: p.sandbox}); err != nil {
		return fmt.Errorf("cannot remove the pod: %w", err)
	}
	_, err := k.RemoveImage(ctx, &runtime.RemoveImageRequest{Image: &runtime.ImageSpec{Image: image}})
	return err
}

// removeGroup removes the pod's cgroup, as kubelet would, as soon as the kernel
// lets it.
func removeGroup(name string) error {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		more, _ := filepath.Glob(pattern + name)
		found = append(found, more...)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		found = slices.DeleteFunc(found, func(dir string) bool {
			err := os.Remove(dir)
			return err == nil || errors.Is(err, os.ErrNotExist)
		})
		if len(found) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot remove the pod's cgroups %v", found)
		}
	}
}
