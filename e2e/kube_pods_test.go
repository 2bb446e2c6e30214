//go:build kubernetes

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/admin"
)

// TestKubernetesStaticPods runs pods as the operator of one machine does: with
// kubelet, its manifests and crictl.
func TestKubernetesStaticPods(t *testing.T) {
	for _, kind := range endpoints[1:] {
		t.Run(kind, func(t *testing.T) {
			n := newNode(t, kind, builtKube(t).pluginDaemon)
			k := startKubelet(t, n)
			t.Run("a pod runs, is ready when its probe says so, and can be looked into", k.testPod)
			t.Run("a pod is restarted when its liveness probe fails", k.testLiveness)
			t.Run("a plugin's veto is the reason in the pod's status", k.testVeto)
			t.Run("a plugin's veto on an image, too", k.testPull)
			t.Run("a change that nobody can carry is refused by its field's name", k.testRefusal)
			t.Run("what a plugin changed is so in the container", k.testChange)
			t.Run("pods go on running when the daemon is killed or stopped", k.testRestart)
		})
	}
}

func (k *kubeletProgram) testPod(t *testing.T) {
	k.run(t, "web", nil, "echo up; sleep 3; touch /tmp/ready; exec httpd -f -p 80", map[string]any{
		"readinessProbe": map[string]any{"exec": map[string]any{"command": []string{"ls", "/tmp/ready"}}, "periodSeconds": 1},
		"livenessProbe":  map[string]any{"tcpSocket": map[string]any{"port": 80}, "initialDelaySeconds": 5, "periodSeconds": 1},
		"resources":      map[string]any{"limits": map[string]any{"memory": "64Mi", "cpu": "500m"}},
	})
	k.wait(t, "web", func(c podContainer) bool { return c.State.Running != nil && !c.Ready })
	c := k.wait(t, "web", ready)
	assert.Zero(t, c.RestartCount)
	assert.Equal(t, "up\n", k.node.crictl(t, "logs", c.id()))
	assert.Equal(t, "web-node", strings.TrimSpace(k.node.crictl(t, "exec", "-s", c.id(), "hostname")))
	assert.Equal(t, "web-node\n", k.node.crictl(t, "exec", c.id(), "hostname"), "through the stream server")
	assert.Contains(t, k.node.crictl(t, "stats", "-o", "json", c.id()), `"memory"`)
	assert.Contains(t, k.node.crictl(t, "exec", "-s", c.id(), "cat", "/proc/self/cgroup"), "kubepods")
}

func (k *kubeletProgram) testLiveness(t *testing.T) {
	k.run(t, "ill", nil, "sleep 1000", map[string]any{
		"livenessProbe": map[string]any{"exec": map[string]any{"command": []string{"false"}}, "periodSeconds": 1, "failureThreshold": 1},
	})
	k.wait(t, "ill", func(c podContainer) bool { return c.RestartCount > 0 })
	k.stop(t, "ill")
}

func (k *kubeletProgram) testVeto(t *testing.T) {
	k.run(t, "vetoed", map[string]string{"obliging/refuse": "no pods on Sundays"}, "sleep 1000", nil)
	c := k.wait(t, "vetoed", waiting("CreateContainerError"))
	assert.Contains(t, c.State.Waiting.Message, "no pods on Sundays")
	assert.Contains(t, c.State.Waiting.Message, "obliging")
	k.stop(t, "vetoed")
}

func (k *kubeletProgram) testPull(t *testing.T) {
	k.run(t, "unwanted", nil, "sleep 1000", map[string]any{"image": "registry.k8s.io/e2e-test-images/busybox:unwanted"})
	c := k.wait(t, "unwanted", waiting("ErrImagePull"))
	assert.Contains(t, c.State.Waiting.Message, `plugin "obliging": PostPull: nobody wants this image`)
	assert.NotContains(t, k.node.crictl(t, "images"), "unwanted")
	k.stop(t, "unwanted")
}

func (k *kubeletProgram) testRefusal(t *testing.T) {
	k.run(t, "unusual", map[string]string{"obliging/restart": "always"}, "sleep 1000", nil)
	c := k.wait(t, "unusual", waiting("CreateContainerError"))
	assert.Contains(t, c.State.Waiting.Message, "RestartPolicy")
	assert.Contains(t, c.State.Waiting.Message, "obliging")
	k.stop(t, "unusual")
}

func (k *kubeletProgram) testChange(t *testing.T) {
	k.run(t, "changed", map[string]string{"obliging/env": "FROM=plugin", "obliging/nofile": "123"}, "echo $FROM; ulimit -n; exec sleep 1000", nil)
	c := k.wait(t, "changed", ready)
	assert.Equal(t, "plugin\n123\n", k.node.crictl(t, "logs", c.id()))
	told, err := exec.Command(built.daemon, "explain", "-H", "unix://"+filepath.Join(k.node.root, "x", admin.SocketName), c.id()).CombinedOutput()
	require.NoError(t, err, string(told))
	assert.Contains(t, string(told), "obliging PreCreateContainer ")
	assert.Contains(t, string(told), "FROM=plugin")
	k.stop(t, "changed")
}

func (k *kubeletProgram) testRestart(t *testing.T) {
	before := k.wait(t, "web", ready)
	require.Zero(t, before.RestartCount, before.LastState)
	daemon := k.node.programs[len(k.node.programs)-1]
	for name, s := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGTERM} {
		daemon.end(s)
		_, err := k.node.tryCrictl("version")
		require.Error(t, err)
		daemon.start(t)
		k.run(t, name, nil, "exec sleep 1000", nil)
		k.wait(t, name, ready)
		web := k.wait(t, "web", ready)
		assert.Zero(t, web.RestartCount, web.LastState)
		assert.Equal(t, before.ContainerID, web.ContainerID)
		assert.Equal(t, before.State.Running.StartedAt, web.State.Running.StartedAt)
		assert.Equal(t, "web-node\n", k.node.crictl(t, "exec", web.id(), "hostname"))
	}
}
