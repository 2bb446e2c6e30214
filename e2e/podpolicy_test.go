package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestPodPolicyActsOnPods(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "cri.sock")
	d := configured(t, embedded, `
cri: {cgroup-driver: cgroupfs, cni-conf-dir: `+t.TempDir()+`}
cri-host: unix://`+socket+`
plugins:
  podpolicy:
    rules:
      - name: bounded
        when: {namespace: "def*"}
        env: {TEAM: blue}
        labels: {example.org/team: blue}
        limits: {memory: 64m, pids: 77, ulimits: {nofile: "123:456"}}
      - name: baseline
        refuse:
          - {if: container.privileged, message: privileged containers are not for this node}
          - if: container.mounts.exists(m, m.source.startsWith("/etc"))
          - if: container.env["MUST"] == "" # which most do not have
`)
	require.NoError(t, d.start())
	k := kubeletOn(t, d, socket)
	pod, config := k.pod(t, "policed")
	create := func(change func(*runtime.ContainerConfig)) (string, error) {
		c := &runtime.ContainerConfig{
			Metadata: &runtime.ContainerMetadata{Name: "main"}, Image: &runtime.ImageSpec{Image: k.image}, Command: []string{"sleep", "1000"},
			Envs:  []*runtime.KeyValue{{Key: "MUST", Value: []byte("1")}},
			Linux: &runtime.LinuxContainerConfig{SecurityContext: &runtime.LinuxContainerSecurityContext{}},
		}
		change(c)
		r, err := k.CreateContainer(testContext(t), &runtime.CreateContainerRequest{PodSandboxId: pod, SandboxConfig: config, Config: c})
		return r.GetContainerId(), err
	}
	for want, change := range map[string]func(*runtime.ContainerConfig){
		`plugin "podpolicy": PreCreateContainer: rule "baseline" forbids it: privileged containers are not for this node`: func(c *runtime.ContainerConfig) {
			c.Linux.SecurityContext.Privileged = true
		},
		`rule "baseline" forbids it: container.mounts.exists(m, m.source.startsWith("/etc"))`: func(c *runtime.ContainerConfig) {
			c.Mounts = []*runtime.Mount{{HostPath: "/etc", ContainerPath: "/host"}}
		},
		`rule "baseline" refuses what it cannot judge: container.env["MUST"] == "": no such key: MUST`: func(c *runtime.ContainerConfig) {
			c.Envs = nil
		},
	} {
		_, err := create(change)
		assert.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
		assert.ErrorContains(t, err, want)
	}
	list, err := k.ListContainers(testContext(t), &runtime.ListContainersRequest{})
	require.NoError(t, err)
	assert.Empty(t, list.Containers)

	id, err := create(func(*runtime.ContainerConfig) {})
	require.NoError(t, err)
	_, err = k.StartContainer(testContext(t), &runtime.StartContainerRequest{ContainerId: id})
	require.NoError(t, err)
	assert.Contains(t, k.exec(t, id, "env"), "TEAM=blue\n")
	// The soft limit is raised by programs that are written in Go, as this one.
	assert.Regexp(t, `Max open files +\d+ +456`, k.exec(t, id, "cat /proc/self/limits"))
	s, err := k.ContainerStatus(testContext(t), &runtime.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	assert.Equal(t, "blue", s.Status.Labels["example.org/team"])
	assert.EqualValues(t, 64<<20, s.Status.Resources.Linux.MemoryLimitInBytes)
}
