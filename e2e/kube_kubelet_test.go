//go:build kubernetes

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// kubeletProgram is a kubelet on a node, without a control plane.
type kubeletProgram struct {
	program
	node      *node
	manifests string
	cgroup    string // in which those of the pods are: kubelet ends pods that it does not know
}

// startKubelet starts kubelet with the configuration of packaging, but for what
// must not be the machine's, and a port that tells the status of pods.
func startKubelet(t testing.TB, n *node) *kubeletProgram {
	t.Helper()
	text, err := os.ReadFile("../packaging/kubernetes/kubelet.yaml")
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, yaml.Unmarshal(text, &config))
	k := &kubeletProgram{node: n, manifests: filepath.Join(n.root, "manifests"), cgroup: filepath.Base(n.root)}
	k.makeCgroups(t)
	require.NoError(t, os.Mkdir(k.manifests, 0o755))
	maps.Copy(config, map[string]any{
		"containerRuntimeEndpoint": n.endpoint, "imageServiceEndpoint": n.endpoint,
		"cgroupRoot":    "/" + k.cgroup,
		"staticPodPath": k.manifests, "fileCheckFrequency": "1s", "syncFrequency": "2s",
		"podLogsDir":      filepath.Join(n.root, "logs"),
		"volumePluginDir": filepath.Join(n.root, "volumeplugins"),
		"readOnlyPort":    10255,
		"evictionHard":    map[string]string{"nodefs.available": "1%", "imagefs.available": "1%"},
	})
	text, err = json.Marshal(config)
	require.NoError(t, err)
	file := filepath.Join(n.root, "kubelet.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	k.answers = func() bool { _, err := k.pods(); return err == nil }
	k.command = func() *exec.Cmd {
		return exec.Command(filepath.Join(kubernetesTools, "kubelet"), "--config", file, "--root-dir", filepath.Join(n.root, "kubelet"),
			"--cert-dir", filepath.Join(n.root, "pki"), "--hostname-override", "node")
	}
	keepKernel(t)
	t.Cleanup(func() { k.remove(t) })
	k.start(t)
	return k
}

// pod is what is of interest of a pod in kubelet's words.
type pod struct {
	Metadata struct{ Name string }
	Status   struct {
		Phase, PodIP      string
		ContainerStatuses []podContainer
	}
}

type podContainer struct {
	ContainerID  string
	Ready        bool
	RestartCount int
	State        struct {
		Running *struct{ StartedAt time.Time }
		Waiting *struct{ Reason, Message string }
	}
	LastState map[string]any
}

// pods asks kubelet.
func (k *kubeletProgram) pods() (map[string]pod, error) {
	c := http.Client{Timeout: 5 * time.Second}
	res, err := c.Get("http://127.0.0.1:10255/pods")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var list struct{ Items []pod }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return nil, err
	}
	pods := map[string]pod{}
	for _, p := range list.Items {
		pods[strings.TrimSuffix(p.Metadata.Name, "-node")] = p
	}
	return pods, nil
}

// run writes the manifest of a pod with one container of busybox. More is
// merged into the container.
func (k *kubeletProgram) run(t testing.TB, name string, annotations map[string]string, script string, more map[string]any) {
	t.Helper()
	c := map[string]any{
		"name": "main", "image": "registry.k8s.io/e2e-test-images/busybox:1.29-2", "command": []string{"sh", "-c", script},
	}
	maps.Copy(c, more)
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "namespace": "default", "annotations": annotations},
		"spec":     map[string]any{"containers": []any{c}, "terminationGracePeriodSeconds": 1},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(k.manifests, name+".yaml"), text, 0o644))
}

// wait waits until the one container of a pod is as it should be.
func (k *kubeletProgram) wait(t testing.TB, name string, is func(podContainer) bool) podContainer {
	t.Helper()
	var last pod
	err := waitFor(2*time.Minute, func() bool {
		time.Sleep(100 * time.Millisecond) // kubelet has better things to do
		pods, err := k.pods()
		last = pods[name]
		return err == nil && len(last.Status.ContainerStatuses) == 1 && is(last.Status.ContainerStatuses[0])
	})
	require.NoError(t, err, "pod %s: %+v", name, last)
	return last.Status.ContainerStatuses[0]
}

func ready(c podContainer) bool { return c.Ready && c.State.Running != nil }

// waiting tells whether a container is not made for a reason.
func waiting(reason string) func(podContainer) bool {
	return func(c podContainer) bool { return c.State.Waiting != nil && c.State.Waiting.Reason == reason }
}

// id is the container's id for crictl.
func (c podContainer) id() string { return strings.TrimPrefix(c.ContainerID, "containerd://") }

// remove ends kubelet, whose pods go with the node, and removes what it leaves.
func (k *kubeletProgram) remove(t testing.TB) {
	files, _ := filepath.Glob(filepath.Join(k.manifests, "*.yaml"))
	for _, f := range files {
		os.Remove(f)
	}
	_ = waitFor(time.Minute, func() bool {
		time.Sleep(100 * time.Millisecond)
		out, err := k.node.tryCrictl("pods", "-q", "--state", "ready")
		return err == nil && out == ""
	})
	k.end(syscall.SIGTERM)
	if out, err := k.node.tryCrictl("rmp", "-fa"); err != nil {
		t.Logf("pods are left: %v%s", err, out)
	}
	if t.Failed() {
		t.Logf("the end of kubelet's log:\n%s", k.log.tail(32<<10))
	}
	links, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, k.node.root) {
			os.Remove(link)
		}
	}
	k.removeCgroups(t)
}

// hierarchies are where the controllers' cgroups are.
func hierarchies() []string {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		roots = []string{"/sys/fs/cgroup/cgroup.procs"}
	}
	for i := range roots {
		roots[i] = filepath.Dir(roots[i])
	}
	return roots
}

func (k *kubeletProgram) makeCgroups(t testing.TB) {
	for _, h := range hierarchies() {
		dir := filepath.Join(h, k.cgroup)
		require.NoError(t, os.Mkdir(dir, 0o755))
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // in cgroup v1 they are empty
			if all, err := os.ReadFile(filepath.Join(h, file)); err == nil {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), all, 0))
			}
		}
	}
}

func (k *kubeletProgram) removeCgroups(t testing.TB) {
	for _, h := range hierarchies() {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(h, k.cgroup), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	}
}

// keepKernel restores, at the end, those settings of the kernel that kubelet
// changes on its machine.
func keepKernel(t testing.TB) {
	for _, name := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"} {
		file := filepath.Join("/proc/sys", name)
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		t.Cleanup(func() {
			if now, err := os.ReadFile(file); err == nil && string(now) != string(before) {
				require.NoError(t, os.WriteFile(file, before, 0))
			}
		})
	}
}

// stop takes a pod's manifest away and waits until kubelet has forgotten it.
func (k *kubeletProgram) stop(t testing.TB, name string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(k.manifests, name+".yaml")))
	require.NoError(t, waitFor(2*time.Minute, func() bool {
		time.Sleep(100 * time.Millisecond)
		pods, err := k.pods()
		_, there := pods[name]
		return err == nil && !there
	}))
}
