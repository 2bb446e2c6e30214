package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// engine says which containerd a daemon uses.
type engine string

const (
	embedded engine = "embedded"
	external engine = "external"
)

// daemon is a daemon process on a root of its own.
type daemon struct {
	root    string // short, for socket paths
	socket  string
	binary  string
	args    []string
	client  *client.Client
	cmd     *exec.Cmd
	exited  chan struct{}
	log     *syncBuffer
	stockCD *exec.Cmd // the external containerd
}

// newDaemon prepares a root; start starts the daemon on it.
func newDaemon(binary string, e engine, args ...string) (*daemon, error) {
	root, err := os.MkdirTemp("/tmp", "px")
	if err != nil {
		return nil, err
	}
	d := &daemon{root: root, socket: filepath.Join(root, "d.sock"), binary: binary, log: new(syncBuffer)}
	d.args = append([]string{
		"serve", "--host", "unix://" + d.socket, "--data-root", filepath.Join(root, "d"), "--exec-root", filepath.Join(root, "x"),
	}, args...)
	d.client, err = client.New(client.WithHost("unix://" + d.socket))
	if err == nil && e == external {
		err = d.startContainerd()
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// kind tells which containerd the daemon uses.
func (d *daemon) kind() engine {
	if d.stockCD != nil {
		return external
	}
	return embedded
}

// containerdSocket is that of the external containerd.
func (d *daemon) containerdSocket() string { return filepath.Join(d.root, "c.sock") }

func (d *daemon) startContainerd() error {
	address := d.containerdSocket()
	config := filepath.Join(d.root, "containerd.toml")
	if err := os.WriteFile(config, []byte(stockConfig(d.root, address, true)), 0o600); err != nil {
		return err
	}
	d.stockCD = exec.Command(built.containerd, "--config", config)
	d.stockCD.Stdout, d.stockCD.Stderr = d.log, d.log
	if err := d.stockCD.Start(); err != nil {
		return err
	}
	d.args = append(d.args, "--containerd", address)
	return waitFor(30*time.Second, func() bool {
		c, err := net.Dial("unix", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stockConfig is the configuration of a stock containerd that keeps everything
// under root: its defaults, or only what runs containers without Kubernetes.
func stockConfig(root, address string, slim bool) string {
	disabled := ""
	if slim {
		disabled = `"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"`
	}
	return fmt.Sprintf(`version = 4
root = %q
state = %q
disabled_plugins = [%s]
[plugins."io.containerd.server.v1.grpc"]
  address = %q
[plugins."io.containerd.server.v1.ttrpc"]
  address = %q
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = %q
[plugins."io.containerd.nri.v1.nri"]
  socket_path = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
`, filepath.Join(root, "cr"), filepath.Join(root, "cs"), disabled, address, address+".ttrpc", filepath.Join(root, "s"),
		filepath.Join(root, "nri.sock"), filepath.Join(root, "opt"))
}

// start starts the daemon and waits until it answers.
func (d *daemon) start() error {
	cmd := exec.Command(d.binary, d.args...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	d.cmd, d.exited = cmd, exited
	go func() { cmd.Wait(); close(exited) }()
	return waitFor(60*time.Second, func() bool {
		select {
		case <-exited:
			return true
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := d.client.Ping(ctx, client.PingOptions{})
		return err == nil
	}, func() error {
		select {
		case <-exited:
			return fmt.Errorf("the daemon exited: %v\n%s", cmd.ProcessState, d.log)
		default:
			return nil
		}
	})
}

// signal sends a signal and waits for the daemon's end.
func (d *daemon) signal(s syscall.Signal) *os.ProcessState {
	d.cmd.Process.Signal(s)
	select {
	case <-d.exited:
	case <-time.After(60 * time.Second):
		d.cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(time.Second)
		d.cmd.Process.Kill()
		<-d.exited
	}
	return d.cmd.ProcessState
}

// remove ends everything on the root and deletes it.
func (d *daemon) remove() error {
	if d.cmd != nil {
		d.signal(syscall.SIGTERM)
	}
	d.client.Close()
	// What keeps running without a daemon are shims, which have the root in
	// their command line, and containers, which have a cgroup.
	for _, pid := range append(processesOf(d.root), d.contained()...) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := waitFor(30*time.Second, func() bool { return d.removeCgroups() == nil }); err != nil {
		return fmt.Errorf("cgroups are left: %w", d.removeCgroups())
	}
	if d.stockCD != nil {
		d.stockCD.Process.Signal(syscall.SIGTERM)
		d.stockCD.Wait()
	}
	for {
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(d.root))
		if err != nil || len(mounts) == 0 {
			break
		}
		if err := unix.Unmount(mounts[len(mounts)-1].Mountpoint, unix.MNT_DETACH); err != nil {
			return err
		}
	}
	return os.RemoveAll(d.root)
}

// cgroups lists those of the daemon's containers, in every hierarchy, and then
// the one above them.
func (d *daemon) cgroups() []string {
	parent := containerd.New(containerd.Config{Root: filepath.Join(d.root, "d"), State: filepath.Join(d.root, "x")}, nil).CgroupParent()
	var all []string
	for _, pattern := range []string{parent + "/*/cgroup.procs", parent + "/cgroup.procs"} {
		for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			found, _ := filepath.Glob(hierarchy + pattern)
			all = append(all, found...)
		}
	}
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	return all
}

// contained lists the processes of the daemon's containers.
func (d *daemon) contained() (pids []int) {
	for _, dir := range d.cgroups() {
		text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func (d *daemon) removeCgroups() error {
	for _, dir := range d.cgroups() {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// processesOf lists the processes with the root in their command line.
func processesOf(root string) []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && bytes.Contains(line, []byte(root)) {
			var pid int
			fmt.Sscan(filepath.Base(dir), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

// ownDaemon starts a daemon for one test.
func ownDaemon(t testing.TB, binary string, e engine, args ...string) *daemon {
	t.Helper()
	d, err := newDaemon(binary, e, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Errorf("removing %s: %v", d.root, err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log)
		}
		if strings.Contains(d.log.String(), "DATA RACE") {
			t.Errorf("the daemon has a data race:\n%s", d.log)
		}
	})
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// The daemons that tests share, started when first asked for, with the box
// image loaded as "box".
var shared = struct {
	sync.Mutex
	daemons map[engine]*daemon
}{daemons: map[engine]*daemon{}}

func sharedDaemon(t testing.TB, e engine) *daemon {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	d := shared.daemons[e]
	if d == nil {
		var err error
		if d, err = newDaemon(built.daemon, e); err != nil {
			t.Fatal(err)
		}
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		d.load(t, "box:latest")
		shared.daemons[e] = d
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", d.log.tail(8<<10))
		}
	})
	return d
}

func stopShared() {
	for e, d := range shared.daemons {
		if err := d.remove(); err != nil {
			fmt.Fprintln(os.Stderr, e, err)
		}
		if strings.Contains(d.log.String(), "DATA RACE") {
			fmt.Fprintln(os.Stderr, d.log)
			panic("the shared daemon has a data race")
		}
	}
}

// load loads the box image under a name.
func (d *daemon) load(t testing.TB, reference string) {
	t.Helper()
	img, err := boxImage()
	if err != nil {
		t.Fatal(err)
	}
	d.loadImage(t, reference, img)
}

func (d *daemon) loadImage(t testing.TB, reference string, img v1.Image) {
	t.Helper()
	res, err := d.client.ImageLoad(context.Background(), archive(t, reference, img))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	if _, err := io.Copy(io.Discard, res); err != nil {
		t.Fatal(err)
	}
}

// onBoth runs a test on the shared daemon of each engine.
func onBoth(t *testing.T, f func(t *testing.T, d *daemon)) {
	for _, e := range []engine{embedded, external} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			f(t, sharedDaemon(t, e))
		})
	}
}

// waitFor polls a condition; a check that returns an error ends the wait.
func waitFor(limit time.Duration, condition func() bool, checks ...func() error) error {
	deadline := time.Now().Add(limit)
	for {
		ok := condition()
		for _, check := range checks {
			if err := check(); err != nil {
				return err
			}
		}
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v", limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// syncBuffer is a log that many goroutines write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}

// onOwn runs a test on a daemon of its own for each engine.
func onOwn(t *testing.T, f func(t *testing.T, d *daemon)) {
	onEngines(t, func(t *testing.T, e engine) { f(t, ownDaemon(t, built.daemon, e)) })
}

// onEngines runs a test for each engine.
func onEngines(t *testing.T, f func(t *testing.T, e engine)) {
	for _, e := range []engine{embedded, external} {
		t.Run(string(e), func(t *testing.T) { f(t, e) })
	}
}
