//go:build kubernetes

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kubernetesTools is where `make kubernetes` puts Kubernetes' programs.
const kubernetesTools = "../bin/kubernetes"

// kubePrograms are what these tests build beside the others: the daemon of a
// node as it is shipped, one with a plugin, what the images have, and a shim
// for the stock containerd.
type kubePrograms struct{ daemon, pluginDaemon, standin, shim string }

var buildKube = sync.OnceValues(func() (k kubePrograms, err error) {
	k = kubePrograms{
		daemon:       filepath.Join(built.dir, "kube"),
		pluginDaemon: filepath.Join(built.dir, "kube-daemon"),
		standin:      filepath.Join(built.dir, "standin"),
		shim:         filepath.Join(built.dir, "containerd-shim-runc-v2"),
	}
	for _, c := range [][]string{
		{k.daemon, "-tags=assets,kube,no_rdt,grpcnotrace", "../cmd/demo-daemon"},
		{k.pluginDaemon, "-tags=assets,kube,no_rdt,grpcnotrace", "./kubedaemon"},
		{k.standin, "./standin"},
		{k.shim, "-modfile=../tools/containerd/go.mod", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o"}, c...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := combinedOutputOutside(cmd); err != nil {
			return k, fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
	}
	return k, nil
})

func builtKube(t testing.TB) kubePrograms {
	t.Helper()
	k, err := buildKube()
	require.NoError(t, err)
	return k
}

// node is what a kubelet runs on: a CRI endpoint with its programs, networks
// and registries.
type node struct {
	root     string // short, for socket paths
	endpoint string
	programs []*program // that make up the endpoint, in the order of their start
}

// endpoints are the ways to have a CRI: containerd's own, and ours before both
// engines.
var endpoints = []string{"stock", "embedded", "external"}

// newNode starts a CRI endpoint with everything under a root of its own. Its
// pods are removed when the test ends.
func newNode(t testing.TB, kind string, binary ...string) *node {
	t.Helper()
	k := builtKube(t)
	n := &node{root: shortRoot(t)}
	require.NoError(t, os.Chmod(n.root, 0o711)) // for pods with a user namespace
	kubernetesRegistry(t, filepath.Join(n.root, "certs.d"))
	n.writeNetwork(t)
	stock := filepath.Join(n.root, "c.sock")
	if kind != string(embedded) {
		config := filepath.Join(n.root, "containerd.toml")
		require.NoError(t, os.WriteFile(config, []byte(n.stockCRI(stock)), 0o600))
		p := &program{answers: accepts(stock), command: func() *exec.Cmd {
			cmd := exec.Command(built.containerd, "--config", config)
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(k.shim)+":"+os.Getenv("PATH"))
			return cmd
		}}
		n.programs = append(n.programs, p)
	}
	n.endpoint = "unix://" + stock
	if kind != "stock" {
		n.endpoint = "unix://" + filepath.Join(n.root, "cri.sock")
		n.programs = append(n.programs, n.daemon(t, append(binary, k.daemon)[0], kind, stock))
	}
	t.Cleanup(func() { n.remove(t) })
	for _, p := range n.programs {
		p.start(t)
	}
	return n
}

// daemon is ours.
func (n *node) daemon(t testing.TB, binary, kind, stock string) *program {
	t.Helper()
	socket := filepath.Join(n.root, "cri.sock")
	config := fmt.Sprintf("cri-host: unix://%[1]s\ndata-root: %[2]s/d\nexec-root: %[2]s/x\n", socket, n.root)
	if kind == string(external) {
		config += fmt.Sprintf("containerd: %s\n", stock)
	} else {
		config += fmt.Sprintf("cri:\n  cgroup-driver: cgroupfs\n  cni-conf-dir: %s/net.d\n  registry-dirs: [%s/certs.d]\n", n.root, n.root)
	}
	file := filepath.Join(n.root, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return &program{answers: accepts(socket), command: func() *exec.Cmd { return exec.Command(binary, "serve", "--config-file", file) }}
}

// stockCRI is the configuration of a stock containerd whose CRI does what ours
// does.
func (n *node) stockCRI(socket string) string {
	runc, _ := filepath.Abs("../bin/assets/runc")
	return stockConfig(n.root, socket, false) + fmt.Sprintf(`
[plugins."io.containerd.cri.v1.images"]
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "%[1]s/certs.d"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "registry.k8s.io/pause:3.10"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    conf_dir = "%[1]s/net.d"
    bin_dirs = ["%[2]s"]
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = %[3]q
`, n.root, cniPrograms(), runc)
}

// bridgeOfPods is the device of the pods' network. One node runs at a time, as
// all have the same subnet.
const bridgeOfPods = "pxpods"

// cniPrograms is where the CNI programs are, for stock containerd, that the
// daemon's binary carries.
func cniPrograms() string {
	dir, _ := filepath.Abs("../bin/assets/cni")
	return dir
}

// writeNetwork writes the configuration of the pods' network, which is that of
// packaging with a subnet and a device of the test's own.
func (n *node) writeNetwork(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile("../packaging/cni/10-pouchfx.conflist")
	require.NoError(t, err)
	var list map[string]any
	require.NoError(t, json.Unmarshal(text, &list))
	bridge := list["plugins"].([]any)[0].(map[string]any)
	bridge["ipMasq"] = false // it takes iptables or nft, and nobody here goes out
	bridge["bridge"] = bridgeOfPods
	bridge["ipam"].(map[string]any)["dataDir"] = filepath.Join(n.root, "leases")
	text, err = json.Marshal(list)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(n.root, "net.d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(n.root, "net.d", "10-pouchfx.conflist"), text, 0o644))
}

// crictl runs crictl and returns its output.
func (n *node) crictl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := n.tryCrictl(args...)
	require.NoError(t, err, "crictl %v", args)
	return out
}

func (n *node) tryCrictl(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(kubernetesTools, "crictl"), append([]string{"-r", n.endpoint, "-i", n.endpoint, "-t", "30s"}, args...)...)
	cmd.Env = append(os.Environ(), "CRI_CONFIG_FILE="+os.DevNull)
	out, err := cmd.Output()
	if failed, ok := err.(*exec.ExitError); ok {
		err = fmt.Errorf("%w: %s%s", err, out, failed.Stderr)
	}
	return string(out), err
}

// remove removes the pods and ends the endpoint.
func (n *node) remove(t testing.TB) {
	if out, err := n.tryCrictl("rmp", "-fa"); err != nil && !strings.Contains(out, "No pods") {
		t.Logf("pods are left: %v", err)
	}
	for i := len(n.programs) - 1; i >= 0; i-- {
		n.programs[i].end(syscall.SIGTERM)
	}
	for _, pid := range processesOf(n.root) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	for {
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(n.root))
		if err != nil || len(mounts) == 0 {
			break
		}
		if err := unix.Unmount(mounts[len(mounts)-1].Mountpoint, unix.MNT_DETACH); err != nil {
			t.Error(err)
			break
		}
	}
	if link, err := netlink.LinkByName(bridgeOfPods); err == nil {
		require.NoError(t, netlink.LinkDel(link))
	}
	if t.Failed() {
		for _, p := range n.programs {
			t.Logf("the end of the log of %v:\n%s", p.cmd, p.log.tail(16<<10))
		}
	}
}

// program is one that can be started again.
type program struct {
	command func() *exec.Cmd
	answers func() bool // whether it serves
	log     syncBuffer
	cmd     *exec.Cmd
	exited  chan struct{}
}

func (p *program) start(t testing.TB) {
	t.Helper()
	cmd, exited := p.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	require.NoError(t, cmd.Start())
	p.cmd, p.exited = cmd, exited
	go func() { cmd.Wait(); close(exited) }()
	err := waitFor(time.Minute, p.answers, func() error {
		select {
		case <-exited:
			return fmt.Errorf("%v: %v\n%s", cmd, cmd.ProcessState, p.log.tail(16<<10))
		default:
			return nil
		}
	})
	require.NoError(t, err)
}

// end sends a signal and waits until the program is no more.
func (p *program) end(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(s)
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// accepts tells whether somebody accepts connections on a socket.
func accepts(socket string) func() bool {
	return func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}
