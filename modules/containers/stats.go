package containers

import (
	"context"
	"os"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers/metrics"
)

// statsInterval is the time between two samples.
const statsInterval = time.Second

// StatsOptions say which statistics are wanted.
type StatsOptions struct {
	// Stream gives a sample each second until ctx ends or the container is
	// removed. Otherwise there is one, after a second, with the one before.
	Stream bool
	// OneShot gives one at once, with none before.
	OneShot bool
}

// Stats gives samples of what a container uses to send. Of one that does not
// run they say nothing but its name.
func (s *Service) Stats(ctx context.Context, name string, o StatsOptions, send func(*container.StatsResponse) error) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	var last *container.StatsResponse
	tick := time.NewTicker(statsInterval)
	defer tick.Stop()
	for {
		now, running, err := s.sample(ctx, c)
		if err != nil {
			return err
		}
		if last != nil && running {
			now.PreRead, now.PreCPUStats = last.Read, last.CPUStats
		}
		// The first of two tells how much was used, but not how fast.
		if o.Stream || o.OneShot || !running || last != nil {
			if err := send(now); err != nil || !o.Stream {
				return err
			}
		}
		if last = nil; running {
			last = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		case <-s.background.Done():
			return nil
		}
		if _, err := s.index.get(c.id); err != nil && o.Stream { // removed
			return nil
		}
	}
}

// sample reads what a container uses now; running is false when it does not
// run.
func (s *Service) sample(ctx context.Context, c *ctr) (sample *container.StatsResponse, running bool, err error) {
	sample = &container.StatsResponse{ID: c.id, Name: "/" + c.record().Name}
	r := c.current()
	if r == nil {
		return sample, false, nil
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	m, err := r.task.Metrics(ctx)
	if err == nil {
		err = metrics.Fill(sample, m.Data, metrics.Memory())
	}
	if err == nil {
		sample.Read = time.Now()
		err = hostCPUs(&sample.CPUStats)
	}
	if c.current() != r { // it has ended meanwhile
		return &container.StatsResponse{ID: sample.ID, Name: sample.Name}, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	if !c.record().HostConfig.NetworkMode.IsHost() {
		if dev, err := os.ReadFile(procPath(r.pid, "net", "dev")); err == nil {
			sample.Networks = metrics.Networks(dev)
		}
	}
	return sample, true, nil
}

func hostCPUs(c *container.CPUStats) error {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return err
	}
	defer f.Close()
	c.SystemUsage, c.OnlineCPUs, err = metrics.CPUs(f)
	return err
}
