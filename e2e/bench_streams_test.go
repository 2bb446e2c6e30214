package e2e

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

const gib = 1 << 30

// BenchmarkLogs measures how fast a log of 1 GiB is read, and how much memory
// the daemon takes meanwhile.
func BenchmarkLogs(b *testing.B) {
	ours, docker := rivals(b)
	const line = "a line of the log that is as long as such lines often are: eighty characters, or"
	script := "lines 13421773 '" + line[:79] + "'" // with its end, 80 bytes
	ids := map[*daemon]string{}
	write := series{}
	for who, d := range map[string]*daemon{"daemon": ours, "dockerd": docker} {
		if d == nil {
			continue
		}
		ids[d] = d.create(b, script)
		write.time(who, func() { d.runToEnd(b, ids[d]) })
	}
	read := func(d *daemon) (grown float64) {
		pid := d.cmd.Process.Pid
		before, most := rss(b, pid), 0.0
		stop := sample(100*time.Millisecond, func() { most = max(most, rss(b, pid)) })
		defer func() { stop(); grown = most - before }()
		body, err := d.client.ContainerLogs(context.Background(), ids[d], client.ContainerLogsOptions{ShowStdout: true})
		require.NoError(b, err)
		defer body.Close()
		n, err := stdcopy.StdCopy(io.Discard, io.Discard, body)
		require.NoError(b, err)
		require.GreaterOrEqual(b, n, int64(gib))
		return grown
	}
	took := series{}
	for b.Loop() {
		for range 3 {
			took.time("daemon", func() { b.ReportMetric(read(ours), "daemon-grows-MiB") })
			if docker != nil {
				took.time("dockerd", func() { b.ReportMetric(read(docker), "dockerd-grows-MiB") })
			}
		}
	}
	took.report(b, map[string]string{"dockerd": "(≤1)"})
	b.ReportMetric(1024/median(took["daemon"]).Seconds(), "daemon-MiB/s")
	for who, took := range write {
		b.ReportMetric(milliseconds(median(took)), who+"-write-ms")
	}
}

// sample calls f from time to time until stop is called.
func sample(every time.Duration, f func()) (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			f()
			select {
			case <-done:
				return
			case <-time.After(every):
			}
		}
	})
	return func() { close(done); group.Wait() }
}

// BenchmarkStreams measures 1 GiB through attach and exec, without a log.
func BenchmarkStreams(b *testing.B) {
	ours, docker := rivals(b)
	quiet := host(func(h *container.HostConfig) { h.LogConfig.Type = "none" })
	ctx := context.Background()
	discard := func(stream client.HijackedResponse) {
		defer stream.Close()
		n, err := stdcopy.StdCopy(io.Discard, io.Discard, stream.Reader)
		require.NoError(b, err)
		require.EqualValues(b, gib, n)
	}
	attach := func(d *daemon) {
		id := d.create(b, "dd 1073741824", quiet)
		stream, err := d.client.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true})
		require.NoError(b, err)
		d.startContainer(b, id)
		discard(stream.HijackedResponse)
	}
	exec := func(d *daemon, id string) {
		created, err := d.client.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, Cmd: []string{"dd", "1073741824"}})
		require.NoError(b, err)
		stream, err := d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
		require.NoError(b, err)
		discard(stream.HijackedResponse)
	}
	input := func(d *daemon, id string) {
		created, err := d.client.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdin: true, AttachStdout: true, Cmd: []string{"wc"}})
		require.NoError(b, err)
		stream, err := d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
		require.NoError(b, err)
		defer stream.Close()
		_, err = io.CopyN(stream.Conn, zeroes{}, gib)
		require.NoError(b, err)
		require.NoError(b, stream.CloseWrite())
		_, err = io.Copy(io.Discard, stream.Reader)
		require.NoError(b, err)
	}
	kinds := []struct {
		name string
		work func(d *daemon, id string)
	}{{"attach", func(d *daemon, _ string) { attach(d) }}, {"exec", exec}, {"exec-stdin", input}}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			ids := map[*daemon]string{}
			for _, d := range []*daemon{ours, docker} {
				if d != nil {
					ids[d] = d.create(b, "sleep 100000", quiet)
					d.startContainer(b, ids[d])
				}
			}
			took := series{}
			for b.Loop() {
				for range 3 {
					took.time("daemon", func() { k.work(ours, ids[ours]) })
					if docker != nil {
						took.time("dockerd", func() { k.work(docker, ids[docker]) })
					}
				}
			}
			took.report(b, map[string]string{"dockerd": "(≤1.11)"}) // 0.9 times the throughput
			b.ReportMetric(1024/median(took["daemon"]).Seconds(), "daemon-MiB/s")
		})
	}
}
