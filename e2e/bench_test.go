package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// The benchmarks compare with a stock containerd, and where it is installed
// with dockerd, in one run: machines differ, ratios do not. Each reports its
// figures as metrics; what go test prints as ns/op means nothing here.

// median of durations.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkTimeToServe measures from exec to the first answer, on roots that
// exist, ours against a stock containerd's.
func BenchmarkTimeToServe(b *testing.B) {
	ours, err := newDaemon(built.daemon, embedded)
	require.NoError(b, err)
	defer ours.remove()
	stock, err := newDaemon(built.daemon, external)
	require.NoError(b, err)
	defer stock.remove()
	require.NoError(b, ours.start())
	ours.signal(syscall.SIGTERM)
	var mine, theirs []time.Duration
	for b.Loop() {
		for range 15 {
			began := time.Now()
			require.NoError(b, ours.start())
			mine = append(mine, time.Since(began))
			ours.signal(syscall.SIGTERM)

			stock.stockCD.Process.Signal(syscall.SIGTERM)
			stock.stockCD.Wait()
			stock.stockCD = exec.Command(built.containerd, stock.stockCD.Args[1:]...)
			began = time.Now()
			require.NoError(b, stock.stockCD.Start())
			require.NoError(b, waitFor(time.Minute, func() bool {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				c, err := containerd.New(stock.containerdSocket(), containerd.WithTimeout(time.Second))
				if err != nil {
					return false
				}
				defer c.Close()
				_, err = c.Version(ctx)
				return err == nil
			}))
			theirs = append(theirs, time.Since(began))
		}
	}
	m, t := median(mine), median(theirs)
	b.ReportMetric(milliseconds(m), "daemon-ms")
	b.ReportMetric(milliseconds(t), "containerd-ms")
	b.ReportMetric(float64(m)/float64(t), "ratio(≤0.8)")
}

// BenchmarkLifeOfAContainer measures create, start, wait and remove through
// the API against the same with a bare containerd client, on the same
// containerd, shim and runc.
func BenchmarkLifeOfAContainer(b *testing.B) {
	for _, e := range []engine{external, embedded} {
		b.Run(string(e), func(b *testing.B) {
			ref := ownDaemon(b, built.daemon, external)
			ref.load(b, "box")
			d := ref
			if e == embedded {
				d = ownDaemon(b, built.daemon, embedded)
				d.load(b, "box")
			}
			bare := newBareClient(b, ref)
			d.life(b)
			bare.life(b)
			var mine, theirs []time.Duration
			for b.Loop() {
				for range 30 {
					began := time.Now()
					d.life(b)
					mine = append(mine, time.Since(began))
					began = time.Now()
					bare.life(b)
					theirs = append(theirs, time.Since(began))
				}
			}
			m, t := median(mine), median(theirs)
			b.ReportMetric(milliseconds(m), "daemon-ms")
			b.ReportMetric(milliseconds(t), "client-ms")
			b.ReportMetric(float64(m)/float64(t), "ratio(≤1.15)")
		})
	}
}

// life creates a container that ends at once, waits for its end and removes it.
func (d *daemon) life(b testing.TB) {
	ctx := context.Background()
	res, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: "box", Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	require.NoError(b, err)
	wait := d.client.ContainerWait(ctx, res.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	_, err = d.client.ContainerStart(ctx, res.ID, client.ContainerStartOptions{})
	require.NoError(b, err)
	require.Zero(b, exitCode(b, wait))
	_, err = d.client.ContainerRemove(ctx, res.ID, client.ContainerRemoveOptions{})
	require.NoError(b, err)
}

// bareClient does the same without a daemon.
type bareClient struct {
	*containerd.Client
	ctx   context.Context
	image containerd.Image
	opts  []containerd.NewContainerOpts
	n     int
}

func newBareClient(b testing.TB, d *daemon) *bareClient {
	c, err := containerd.New(d.containerdSocket())
	require.NoError(b, err)
	b.Cleanup(func() { c.Close() })
	ctx := namespaces.WithNamespace(context.Background(), "bare")
	img, err := boxImage()
	require.NoError(b, err)
	images, err := c.Import(ctx, archive(b, "docker.io/library/box:latest", img))
	require.NoError(b, err)
	image := containerd.NewImage(c, images[0])
	require.NoError(b, image.Unpack(ctx, "overlayfs"))
	bin := filepath.Join(d.root, "d", "bin")
	runc, err := exec.LookPath("runc")
	if carried, _ := filepath.Glob(filepath.Join(bin, "*", "runc")); len(carried) > 0 {
		runc, err = carried[0], nil
	}
	require.NoError(b, err)
	return &bareClient{Client: c, ctx: ctx, image: image, opts: []containerd.NewContainerOpts{
		containerd.WithRuntime(filepath.Join(bin, "containerd-shim-runc-v2"), &options.Options{BinaryName: runc, Root: filepath.Join(d.root, "bare-runc")}),
	}}
}

func (c *bareClient) life(b testing.TB) {
	c.n++
	id := fmt.Sprintf("bare%d", c.n)
	opts := append([]containerd.NewContainerOpts{
		containerd.WithImage(c.image), containerd.WithNewSnapshot(id, c.image),
		containerd.WithNewSpec(oci.WithImageConfig(c.image), oci.WithProcessArgs("true")),
	}, c.opts...)
	ctr, err := c.NewContainer(c.ctx, id, opts...)
	require.NoError(b, err)
	task, err := ctr.NewTask(c.ctx, cio.NewCreator(cio.WithStreams(nil, io.Discard, io.Discard)))
	require.NoError(b, err)
	exited, err := task.Wait(c.ctx)
	require.NoError(b, err)
	require.NoError(b, task.Start(c.ctx))
	status := <-exited
	require.Zero(b, status.ExitCode())
	_, err = task.Delete(c.ctx)
	require.NoError(b, err)
	require.NoError(b, ctr.Delete(c.ctx, containerd.WithSnapshotCleanup))
}

// BenchmarkIdleMemory reports the resident memory of idle daemons.
func BenchmarkIdleMemory(b *testing.B) {
	ours := ownDaemon(b, built.daemon, embedded)
	stock, err := newDaemon(built.daemon, external)
	require.NoError(b, err)
	defer stock.remove()
	for b.Loop() {
		time.Sleep(3 * time.Second)
	}
	mine, theirs := rss(b, ours.cmd.Process.Pid), rss(b, stock.stockCD.Process.Pid)
	b.ReportMetric(mine, "daemon-MiB")
	b.ReportMetric(theirs, "containerd-MiB")
	b.ReportMetric(mine/theirs, "ratio(≤0.75)")
	if dockerd, err := exec.LookPath("dockerd"); err == nil {
		both := idleDockerd(b, dockerd)
		b.ReportMetric(both, "dockerd-MiB")
		b.ReportMetric(mine/both, "ratio-dockerd(≤0.35)")
	}
}

// idleDockerd starts dockerd with a containerd of its own on a temporary root
// and returns the resident memory of both.
func idleDockerd(b testing.TB, dockerd string) float64 {
	root, err := os.MkdirTemp("/tmp", "pxdd")
	require.NoError(b, err)
	defer os.RemoveAll(root)
	socket := filepath.Join(root, "d.sock")
	cmd := exec.Command(dockerd, "--data-root", filepath.Join(root, "d"), "--exec-root", filepath.Join(root, "x"), "-p", filepath.Join(root, "pid"),
		"-H", "unix://"+socket, "--bridge", "none", "--iptables=false", "--ip6tables=false")
	require.NoError(b, cmd.Start())
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	require.NoError(b, waitFor(time.Minute, func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	}))
	time.Sleep(3 * time.Second)
	total := 0.0
	for _, pid := range processesOf(root) {
		total += rss(b, pid)
	}
	return total
}

// rss in MiB.
func rss(b testing.TB, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	require.NoError(b, err)
	for _, line := range lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "Rss: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	b.Fatalf("no Rss of %d", pid)
	return 0
}

// BenchmarkThousandContainers reports what the 1000th container costs against
// the 10th, and what listing them takes.
func BenchmarkThousandContainers(b *testing.B) {
	d := ownDaemon(b, built.daemon, embedded)
	d.load(b, "box")
	ctx := context.Background()
	var creates, listings []time.Duration
	for b.Loop() {
		for i := len(creates); i < 1000; i++ {
			began := time.Now()
			_, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{
				Name: fmt.Sprintf("c%d", i), Config: &container.Config{Image: "box", Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
			})
			require.NoError(b, err)
			creates = append(creates, time.Since(began))
		}
		for range 20 {
			began := time.Now()
			list, err := d.client.ContainerList(ctx, client.ContainerListOptions{All: true})
			require.NoError(b, err)
			require.Len(b, list.Items, 1000)
			listings = append(listings, time.Since(began))
		}
	}
	early, late := median(slices.Clone(creates[5:55])), median(slices.Clone(creates[950:]))
	b.ReportMetric(milliseconds(early), "create-10th-ms")
	b.ReportMetric(milliseconds(late), "create-1000th-ms")
	b.ReportMetric(float64(late)/float64(early), "ratio(≤1.1)")
	b.ReportMetric(milliseconds(median(listings)), "list-ms(≤30)")
}
