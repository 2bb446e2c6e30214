package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// These benchmarks compare with Docker's own daemon where dockerd is on PATH,
// and with its bridge where iptables is, too. Both daemons run beside each
// other and are measured in turns.

// rivals are our daemon and, if it is there, Docker's.
func rivals(b *testing.B) (ours, docker *daemon) {
	b.Helper()
	ours = ownDaemon(b, built.daemon, embedded)
	ours.load(b, "box")
	if _, err := exec.LookPath("dockerd"); err == nil {
		docker = dockerDaemon(b)
		docker.load(b, "box")
	}
	return ours, docker
}

// series are the durations of one kind of work, by who did it.
type series map[string][]time.Duration

func (s series) time(who string, work func()) {
	begun := time.Now()
	work()
	s[who] = append(s[who], time.Since(begun))
}

// report reports medians, and the ratio of ours to others'.
func (s series) report(b *testing.B, limits map[string]string) {
	b.Helper()
	for who, took := range s {
		b.ReportMetric(milliseconds(median(took)), who+"-ms")
		if who != "daemon" {
			b.ReportMetric(ratio(s["daemon"], took), "ratio-"+who+limits[who])
		}
	}
}

// BenchmarkRun measures the docker command, `docker run --rm` of a container
// that exits at once, and against containerd's ctr the same with that: both
// from the start of the command to its end.
func BenchmarkRun(b *testing.B) {
	if _, err := exec.LookPath("docker"); err != nil {
		b.Skip("the docker command is not installed (Debian: docker-cli)")
	}
	for _, network := range []string{"none", "bridge"} {
		b.Run(network, func(b *testing.B) {
			ours, docker := rivals(b)
			run := func(d *daemon) {
				cmd := exec.Command("docker", "-H", "unix://"+d.socket, "run", "--rm", "--network", network, "box", "true")
				out, err := cmd.CombinedOutput()
				require.NoError(b, err, "%s", out)
			}
			limits := map[string]string{"dockerd": "(≤0.6)"}
			var ctr func(flags ...string)
			if network == "none" {
				limits = map[string]string{"dockerd": "(≤0.7)", "ctr": "(≤1.15)"}
				ctr = ctrRun(b, ours)
			}
			took := series{}
			for b.Loop() {
				for range 25 {
					took.time("daemon", func() { run(ours) })
					if docker != nil && (network == "none" || dockerHasBridge()) {
						took.time("dockerd", func() { run(docker) })
					}
					if ctr != nil {
						took.time("ctr", func() { ctr() })
						took.time("ctrseccomp", func() { ctr("--seccomp") })
					}
				}
			}
			took.report(b, limits)
		})
	}
}

// ctrRun returns what runs a container with ctr, on a stock containerd with
// the shim and runc of a daemon of ours.
func ctrRun(b *testing.B, d *daemon) func(flags ...string) {
	program := filepath.Join(built.dir, "ctr")
	build := exec.Command("go", "build", "-modfile=../tools/containerd/go.mod", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/containerd/containerd/v2/cmd/ctr")
	out, err := combinedOutputOutside(build)
	require.NoError(b, err, "%s", out)
	shim, runc := d.programs(b)
	stock := stockServer(b, false)
	command := stock.command
	stock.command = func() *exec.Cmd {
		cmd := command()
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(shim)+":"+filepath.Dir(runc)+":"+os.Getenv("PATH"))
		return cmd
	}
	stock.start(b)
	b.Cleanup(stock.stop)
	ctr := func(args ...string) {
		out, err := exec.Command(program, append([]string{"-a", stock.socket}, args...)...).CombinedOutput()
		require.NoError(b, err, "%s", out)
	}
	dir := b.TempDir()
	file, err := os.Create(filepath.Join(dir, "box.tar"))
	require.NoError(b, err)
	defer file.Close()
	img, err := boxImage()
	require.NoError(b, err)
	_, err = io.Copy(file, archive(b, "docker.io/library/box:latest", img))
	require.NoError(b, err)
	ctr("images", "import", file.Name())
	n := 0
	return func(flags ...string) {
		n++
		args := append([]string{"run", "--rm", "--runc-root", filepath.Join(dir, "runc"), "--fifo-dir", filepath.Join(dir, "fifo")}, flags...)
		ctr(append(args, "docker.io/library/box:latest", fmt.Sprint("ctr", n), "true")...)
	}
}

// BenchmarkEightClients measures how long eight clients take that create,
// start, wait for and remove containers at once.
func BenchmarkEightClients(b *testing.B) {
	ours, docker := rivals(b)
	eight := func(d *daemon) {
		var group errgroup.Group
		for range 8 {
			group.Go(func() error {
				c, err := client.New(client.WithHost("unix://" + d.socket))
				if err != nil {
					return err
				}
				defer c.Close()
				own := &daemon{client: c}
				for range 5 {
					own.life(b)
				}
				return nil
			})
		}
		require.NoError(b, group.Wait())
	}
	took := series{}
	for b.Loop() {
		for range 3 {
			took.time("daemon", func() { eight(ours) })
			if docker != nil {
				took.time("dockerd", func() { eight(docker) })
			}
		}
	}
	took.report(b, map[string]string{"dockerd": "(≤0.77)"}) // 1.3 times the throughput
	b.ReportMetric(40/median(took["daemon"]).Seconds(), "daemon-lives/s")
}

// BenchmarkCreate measures the creation of containers, one after another, in
// turns of 25 until there are 200.
func BenchmarkCreate(b *testing.B) {
	ours, docker := rivals(b)
	create := func(d *daemon) {
		for range 25 {
			d.createTrue(b)
		}
	}
	list := func(d *daemon) {
		res, err := d.client.ContainerList(context.Background(), client.ContainerListOptions{All: true})
		require.NoError(b, err)
		require.GreaterOrEqual(b, len(res.Items), 200)
	}
	took, listed := series{}, series{}
	for b.Loop() {
		for range 8 {
			took.time("daemon", func() { create(ours) })
			if docker != nil {
				took.time("dockerd", func() { create(docker) })
			}
		}
		for range 20 {
			listed.time("daemon-list-200", func() { list(ours) })
			if docker != nil {
				listed.time("dockerd-list-200", func() { list(docker) })
			}
		}
	}
	took.report(b, map[string]string{"dockerd": "(≤0.5)"})
	for who, list := range listed {
		b.ReportMetric(milliseconds(median(list)), who+"-ms")
	}
}

// BenchmarkTwoHundredRunning reports what 200 running containers cost in
// memory, a container's share of the daemon, its shims and all that serves
// them, and how long our daemon takes to start among them.
func BenchmarkTwoHundredRunning(b *testing.B) {
	const n = 200
	ours, docker := rivals(b)
	share := func(d *daemon, mode string) float64 {
		for range n {
			res, err := d.client.ContainerCreate(context.Background(), client.ContainerCreateOptions{
				Config: &container.Config{Image: "box", Cmd: []string{"sleep", "100000"}}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(mode)},
			})
			require.NoError(b, err)
			d.startContainer(b, res.ID)
		}
		time.Sleep(2 * time.Second) // garbage of the starts
		total := 0.0
		for _, pid := range processesOf(d.root) {
			total += pss(b, pid)
		}
		return total / n
	}
	for b.Loop() {
		mine := share(ours, "bridge")
		b.ReportMetric(mine, "daemon-MiB/container")
		b.ReportMetric(pss(b, ours.cmd.Process.Pid), "daemon-alone-MiB")
		if docker != nil {
			mode := "none"
			if dockerHasBridge() {
				mode = "bridge"
			}
			theirs := share(docker, mode)
			b.ReportMetric(theirs, "dockerd-MiB/container")
			b.ReportMetric(mine/theirs, "ratio-dockerd(≤1)")
		}
		var starts []time.Duration
		for range 3 {
			ours.signal(syscall.SIGTERM)
			begun := time.Now()
			require.NoError(b, ours.start())
			starts = append(starts, time.Since(begun))
			list, err := ours.client.ContainerList(context.Background(), client.ContainerListOptions{})
			require.NoError(b, err)
			require.Len(b, list.Items, n)
		}
		b.ReportMetric(milliseconds(median(starts)), "start-among-200-ms(≤2000)")
	}
	if docker != nil {
		removeAll(b, docker)
	}
	removeAll(b, ours)
}

func removeAll(b *testing.B, d *daemon) {
	list, err := d.client.ContainerList(context.Background(), client.ContainerListOptions{All: true})
	require.NoError(b, err)
	for _, c := range list.Items {
		_, err := d.client.ContainerRemove(context.Background(), c.ID, client.ContainerRemoveOptions{Force: true})
		require.NoError(b, err)
	}
}
