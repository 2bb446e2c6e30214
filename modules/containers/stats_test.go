package containers

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func (f *fixture) stats(t *testing.T, id string, o StatsOptions) *container.StatsResponse {
	t.Helper()
	var got *container.StatsResponse
	require.NoError(t, f.Stats(t.Context(), id, o, func(s *container.StatsResponse) error { got = s; return nil }))
	require.NotNil(t, got)
	return got
}

func TestStatsOfAContainer(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "web", func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 64 << 20 }, "sh", "-c", "yes > /dev/null")
	assert.Equal(t, &container.StatsResponse{ID: id, Name: "/web"}, f.stats(t, id, StatsOptions{}), "of one that does not run")
	require.NoError(t, f.Service.Start(t.Context(), id))

	once := f.stats(t, id, StatsOptions{OneShot: true})
	assert.True(t, once.PreRead.IsZero())
	assert.NotZero(t, once.MemoryStats.Usage)
	assert.EqualValues(t, 64<<20, once.MemoryStats.Limit)
	assert.NotZero(t, once.PidsStats.Current)
	assert.Nil(t, once.Networks, "it has no interface but loopback")

	begun := time.Now()
	two := f.stats(t, id, StatsOptions{})
	assert.GreaterOrEqual(t, time.Since(begun), statsInterval)
	assert.Equal(t, statsInterval, two.Read.Sub(two.PreRead).Round(time.Second))
	assert.Greater(t, two.CPUStats.CPUUsage.TotalUsage, two.PreCPUStats.CPUUsage.TotalUsage)
	assert.Greater(t, two.CPUStats.SystemUsage, two.PreCPUStats.SystemUsage)
	assert.NotZero(t, two.CPUStats.OnlineCPUs)

	// A stream goes on when the container ends, and ends when it is removed.
	samples := make(chan *container.StatsResponse, 16)
	ended := make(chan error, 1)
	go func() {
		ended <- f.Stats(context.Background(), id, StatsOptions{Stream: true}, func(s *container.StatsResponse) error { samples <- s; return nil })
	}()
	assert.NotZero(t, (<-samples).MemoryStats.Usage)
	none := 0
	require.NoError(t, f.Service.Stop(t.Context(), id, &none, ""))
	require.Eventually(t, func() bool { return (<-samples).MemoryStats.Usage == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{}))
	assert.NoError(t, <-ended)
	assert.Error(t, f.Stats(t.Context(), id, StatsOptions{}, nil))
}
