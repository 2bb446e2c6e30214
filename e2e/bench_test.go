package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// The benchmarks compare with a stock containerd, and where it is installed
// with dockerd, in one run and in turns: machines differ, ratios do not. Each
// reports medians as metrics; what go test prints as ns/op means nothing here.
//
// A stock containerd is one with its defaults. Its Kubernetes part is left out
// in what is called slim, which nobody ships but which is the closer relative.

// median of durations.
func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ratio of the medians of durations.
func ratio(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }

// server is a daemon of any kind on a root of its own.
type server struct {
	command func() *exec.Cmd
	socket  string
	// ask makes a request to the daemon that listens.
	ask func(context.Context) error
	cmd *exec.Cmd
}

// start returns how long it took from exec to the first answer.
func (s *server) start(b testing.TB) time.Duration {
	s.cmd = s.command()
	begun := time.Now()
	require.NoError(b, s.cmd.Start())
	require.NoError(b, waitFor(time.Minute, func() bool {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			return false
		}
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return s.ask(ctx) == nil
	}))
	return time.Since(begun)
}

func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
}

// idle returns the resident memory, in MiB, of a daemon that was started on a
// root that exists and has nothing to do. It is the median of some starts: a
// collection of garbage while it starts makes a difference.
func (s *server) idle(b testing.TB, pids func() []int) float64 {
	s.start(b)
	s.stop()
	var found []float64
	for range 5 {
		s.start(b)
		time.Sleep(2 * time.Second)
		total := 0.0
		for _, pid := range pids() {
			total += rss(b, pid)
		}
		found = append(found, total)
		s.stop()
	}
	slices.Sort(found)
	return found[len(found)/2]
}

func (s *server) own() []int { return []int{s.cmd.Process.Pid} }

// ourServer is our daemon with the embedded containerd.
func ourServer(b testing.TB) *server {
	d, err := newDaemon(built.daemon, embedded)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, d.remove()) })
	return &server{
		command: func() *exec.Cmd { return exec.Command(d.binary, d.args...) },
		socket:  d.socket,
		ask: func(ctx context.Context) error {
			_, err := d.client.Ping(ctx, client.PingOptions{})
			return err
		},
	}
}

// stockServer is a stock containerd.
func stockServer(b testing.TB, slim bool) *server {
	root := shortRoot(b)
	socket, config := filepath.Join(root, "c.sock"), filepath.Join(root, "config.toml")
	require.NoError(b, os.WriteFile(config, []byte(stockConfig(root, socket, slim)), 0o600))
	return &server{
		command: func() *exec.Cmd { return exec.Command(built.containerd, "--config", config) },
		socket:  socket,
		ask: func(ctx context.Context) error {
			c, err := containerd.New(socket, containerd.WithTimeout(10*time.Second))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Version(ctx)
			return err
		},
	}
}

// dockerServer is dockerd, with a containerd that it starts itself.
func dockerServer(b testing.TB, dockerd string) (*server, string) {
	root := shortRoot(b)
	socket := filepath.Join(root, "d.sock")
	api, err := client.New(client.WithHost("unix://" + socket))
	require.NoError(b, err)
	b.Cleanup(func() { api.Close() })
	return &server{
		command: func() *exec.Cmd {
			return exec.Command(dockerd, "--data-root", filepath.Join(root, "d"), "--exec-root", filepath.Join(root, "x"), "-p", filepath.Join(root, "pid"),
				"-H", "unix://"+socket, "--bridge", "none", "--iptables=false", "--ip6tables=false")
		},
		socket: socket,
		ask: func(ctx context.Context) error {
			_, err := api.Ping(ctx, client.PingOptions{})
			return err
		},
	}, root
}

// shortRoot is a directory for a benchmark, with a name that sockets can have.
func shortRoot(b testing.TB) string {
	root, err := os.MkdirTemp("/tmp", "px")
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(root) })
	return root
}

// BenchmarkTimeToServe measures from exec to the first answer, on roots that
// exist.
func BenchmarkTimeToServe(b *testing.B) {
	servers := []*server{ourServer(b), stockServer(b, false), stockServer(b, true)}
	times := make([][]time.Duration, len(servers))
	for b.Loop() {
		for round := range 30 {
			for i, s := range servers {
				took := s.start(b)
				s.stop()
				if round > 0 { // the first makes the root
					times[i] = append(times[i], took)
				}
			}
		}
	}
	b.ReportMetric(milliseconds(median(times[0])), "daemon-ms")
	b.ReportMetric(milliseconds(median(times[1])), "containerd-ms")
	b.ReportMetric(milliseconds(median(times[2])), "slim-containerd-ms")
	b.ReportMetric(ratio(times[0], times[1]), "ratio(≤0.8)")
	b.ReportMetric(ratio(times[0], times[2]), "ratio-slim")
}

// BenchmarkIdleMemory reports the resident memory of idle daemons, on roots
// that exist.
func BenchmarkIdleMemory(b *testing.B) {
	var ours, stock, slim, docker float64
	for b.Loop() {
		for _, m := range []struct {
			into *float64
			s    *server
		}{{&ours, ourServer(b)}, {&stock, stockServer(b, false)}, {&slim, stockServer(b, true)}} {
			*m.into = m.s.idle(b, m.s.own)
		}
		if dockerd, err := exec.LookPath("dockerd"); err == nil {
			s, root := dockerServer(b, dockerd)
			docker = s.idle(b, func() []int {
				pids := processesOf(root)
				require.Len(b, pids, 2, "dockerd and its containerd")
				return pids
			})
		}
	}
	b.ReportMetric(ours, "daemon-MiB")
	b.ReportMetric(stock, "containerd-MiB")
	b.ReportMetric(slim, "slim-containerd-MiB")
	b.ReportMetric(ours/stock, "ratio(≤0.75)")
	b.ReportMetric(ours/slim, "ratio-slim")
	if docker > 0 {
		b.ReportMetric(docker, "dockerd+containerd-MiB")
		b.ReportMetric(ours/docker, "ratio-dockerd(≤0.35)")
	}
}

// rss is what a process has in memory, in MiB, and pss its share of that where
// others have the same.
func rss(b testing.TB, pid int) float64 { return resident(b, pid, "Rss") }
func pss(b testing.TB, pid int) float64 { return resident(b, pid, "Pss") }

func resident(b testing.TB, pid int, kind string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	require.NoError(b, err)
	for _, line := range lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, kind+": %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	b.Fatalf("no %s of %d", kind, pid)
	return 0
}

// BenchmarkThousandContainers reports what the 1000th container costs against
// the 10th, made in turns on two daemons that have as many as that without it,
// and what listing the thousand takes: to
// the last byte, and until Docker's client has decoded it.
func BenchmarkThousandContainers(b *testing.B) {
	few, many := ownDaemon(b, built.daemon, embedded), ownDaemon(b, built.daemon, embedded)
	few.load(b, "box")
	many.load(b, "box")
	for range 9 {
		few.createTrue(b)
	}
	for range 999 {
		many.createTrue(b)
	}
	ctx := context.Background()
	oneMore := func(d *daemon) time.Duration {
		begun := time.Now()
		id := d.createTrue(b)
		took := time.Since(begun)
		_, err := d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
		require.NoError(b, err)
		return took
	}
	raw := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", many.socket)
	}}}
	defer raw.CloseIdleConnections()
	var early, late, listings, decoded []time.Duration
	for b.Loop() {
		for range 100 {
			early = append(early, oneMore(few))
			late = append(late, oneMore(many))
		}
		many.createTrue(b)
		for range 20 {
			begun := time.Now()
			res, err := raw.Get("http://d/v1.44/containers/json?all=1")
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			require.NoError(b, err)
			listings = append(listings, time.Since(begun))

			begun = time.Now()
			list, err := many.client.ContainerList(ctx, client.ContainerListOptions{All: true})
			require.NoError(b, err)
			require.GreaterOrEqual(b, len(list.Items), 1000)
			decoded = append(decoded, time.Since(begun))
		}
	}
	b.ReportMetric(milliseconds(median(early)), "create-10th-ms")
	b.ReportMetric(milliseconds(median(late)), "create-1000th-ms")
	b.ReportMetric(ratio(late, early), "ratio(≤1.1)")
	b.ReportMetric(milliseconds(median(listings)), "list-ms(≤30)")
	b.ReportMetric(milliseconds(median(decoded)), "list-decoded-ms")
}
