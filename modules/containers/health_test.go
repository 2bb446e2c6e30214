package containers

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/types"
)

func TestHealthFollowsTheResults(t *testing.T) {
	p := &probe{retries: 2, startPeriod: time.Minute, startInterval: time.Second, interval: 9 * time.Second}
	late := 2 * time.Minute
	var h health
	assert.Empty(t, h.add(&container.HealthcheckResult{}, p, late), "without checks there is no health")
	stopped := 0
	h.begin(func() { stopped++ }, true)
	for i, step := range []struct {
		code    int
		ran     time.Duration
		streak  int
		status  container.HealthStatus
		changed bool
	}{
		{1, time.Second, 0, container.Starting, false}, // in the start period
		{1, late, 1, container.Starting, false},
		{0, late, 0, container.Healthy, true},
		{1, time.Second, 1, container.Healthy, false}, // once it was healthy the period is over
		{-1, late, 2, container.Unhealthy, true},
		{2, late, 3, container.Unhealthy, false},
		{0, late, 0, container.Healthy, true},
	} {
		changed := h.add(&container.HealthcheckResult{ExitCode: step.code}, p, step.ran)
		now := h.state()
		assert.Equal(t, step.status, now.Status, "step %d", i)
		assert.Equal(t, step.streak, now.FailingStreak, "step %d", i)
		assert.Equal(t, step.changed, changed == step.status, "step %d", i)
		assert.LessOrEqual(t, len(now.Log), maxHealthLog)
	}
	assert.Len(t, h.state().Log, maxHealthLog)
	h.begin(func() { stopped++ }, false)
	assert.Equal(t, container.Healthy, h.state().Status, "a pause changes nothing")
	assert.Equal(t, container.Unhealthy, h.last().Status)
	assert.Equal(t, 2, stopped)
	assert.Nil(t, h.last())

	assert.Equal(t, time.Second, p.wait(time.Second, container.Starting))
	assert.Equal(t, 9*time.Second, p.wait(time.Second, container.Healthy))
	assert.Equal(t, 9*time.Second, p.wait(late, container.Starting))
}

func TestHealthConfigurations(t *testing.T) {
	image := &container.HealthConfig{Test: []string{"CMD", "a"}, Interval: time.Second, Retries: 4}
	assert.Equal(t, image, mergeHealth(nil, image))
	assert.Equal(t, &container.HealthConfig{Test: []string{"CMD", "a"}, Interval: time.Minute, Retries: 4}, mergeHealth(&container.HealthConfig{Interval: time.Minute}, image))
	none := &container.HealthConfig{Test: []string{"NONE"}}
	assert.Equal(t, []string{"NONE"}, mergeHealth(none, image).Test)
	assert.Nil(t, mergeHealth(nil, nil))

	config := func(h *container.HealthConfig) *types.ContainerConfig {
		return &types.ContainerConfig{Config: container.Config{Healthcheck: h, Shell: []string{"/bin/box", "sh", "-c"}}}
	}
	assert.Nil(t, newProbe(config(nil)))
	assert.Nil(t, newProbe(config(none)))
	assert.Nil(t, newProbe(config(&container.HealthConfig{})))
	assert.Equal(t, []string{"a"}, newProbe(config(image)).cmd)
	shell := newProbe(config(&container.HealthConfig{Test: []string{"CMD-SHELL", "x | y"}}))
	assert.Equal(t, &probe{cmd: []string{"/bin/box", "sh", "-c", "x | y"}, interval: healthInterval, timeout: healthTimeout, startInterval: healthStartInterval, retries: healthRetries}, shell)

	for want, h := range map[string]container.HealthConfig{
		"Interval in Healthcheck cannot be less than 1ms":      {Interval: 1},
		"Timeout in Healthcheck cannot be less than 1ms":       {Timeout: -1},
		"StartPeriod in Healthcheck cannot be less than 1ms":   {StartPeriod: 1},
		"StartInterval in Healthcheck cannot be less than 1ms": {StartInterval: 1},
		"Retries in Healthcheck cannot be negative":            {Retries: -1},
	} {
		assert.EqualError(t, validateHealth(&h), want)
	}
	assert.NoError(t, validateHealth(image))
}

func FuzzHealthConfig(f *testing.F) {
	f.Add("CMD", "a", int64(time.Second), int64(0), 3)
	f.Add("NONE", "", int64(-1), int64(1), -1)
	f.Fuzz(func(t *testing.T, kind, arg string, interval, timeout int64, retries int) {
		h := &container.HealthConfig{Test: []string{kind, arg}, Interval: time.Duration(interval), Timeout: time.Duration(timeout), Retries: retries}
		if validateHealth(h) != nil {
			return
		}
		p := newProbe(&types.ContainerConfig{Config: container.Config{Healthcheck: mergeHealth(h, h)}})
		if p == nil {
			return
		}
		assert.Positive(t, p.wait(time.Hour, container.Starting))
		assert.Positive(t, p.timeout)
		assert.Positive(t, p.retries)
	})
}

func (f *fixture) waitHealth(t *testing.T, id string, want container.HealthStatus) *container.Health {
	t.Helper()
	var h *container.Health
	require.Eventually(t, func() bool {
		h = f.inspect(t, id).State.Health
		return h != nil && h.Status == want
	}, time.Minute, 5*time.Millisecond, "it does not become %s", want)
	return h
}

func TestHealthOfAContainer(t *testing.T) {
	f := newFixture(t, nil)
	_, events, cancel := f.bus.Subscribe(time.Time{}, time.Time{})
	defer cancel()
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.Healthcheck = &container.HealthConfig{
			Test:     []string{"CMD-SHELL", "echo looked; cat /ready && echo fine"},
			Interval: 20 * time.Millisecond, Timeout: time.Minute, Retries: 2,
		}
	}, "sleep", "1000")
	assert.Nil(t, f.inspect(t, id).State.Health)
	require.NoError(t, f.Service.Start(t.Context(), id))
	assert.Equal(t, container.Starting, f.inspect(t, id).State.Health.Status)
	h := f.waitHealth(t, id, container.Unhealthy)
	assert.GreaterOrEqual(t, h.FailingStreak, 2)
	assert.Contains(t, h.Log[0].Output, "looked\n")
	assert.Equal(t, 1, h.Log[0].ExitCode)
	require.NoError(t, f.CopyTo(t.Context(), id, CopyToOptions{Path: "/"}, tarOf(t, "ready", "yes ")))
	h = f.waitHealth(t, id, container.Healthy)
	assert.Equal(t, "looked\nyes fine\n", h.Log[len(h.Log)-1].Output)
	list, err := f.List(t.Context(), ListOptions{Filters: filters.Args{"health": {"healthy": true}}})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Contains(t, list[0].Status, "(healthy)")

	require.NoError(t, f.Pause(t.Context(), id))
	held := f.inspect(t, id).State.Health
	time.Sleep(100 * time.Millisecond) // nothing may happen
	assert.Equal(t, held, f.inspect(t, id).State.Health, "nothing is checked meanwhile")
	require.NoError(t, f.Unpause(t.Context(), id))
	require.Eventually(t, func() bool {
		log := f.inspect(t, id).State.Health.Log
		return log[len(log)-1].Start.After(held.Log[len(held.Log)-1].End)
	}, time.Minute, 5*time.Millisecond)
	assert.Equal(t, container.Healthy, f.inspect(t, id).State.Health.Status)

	f.reopen(t)
	f.waitHealth(t, id, container.Healthy)
	none := 0
	require.NoError(t, f.Service.Stop(t.Context(), id, &none, ""))
	assert.Equal(t, container.Unhealthy, f.inspect(t, id).State.Health.Status, "what does not run is not healthy")
	c, err := f.index.get(id)
	require.NoError(t, err)
	assert.Empty(t, c.execs)

	var changes []eventtypes.Action
	for m := range events {
		if strings.HasPrefix(string(m.Action), "health_status") {
			changes = append(changes, m.Action)
		}
		if len(changes) == 2 {
			break
		}
	}
	assert.Equal(t, []eventtypes.Action{eventtypes.ActionHealthStatusUnhealthy, eventtypes.ActionHealthStatusHealthy}, changes)
}

func TestAHealthCheckThatHangsIsEnded(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.Healthcheck = &container.HealthConfig{
			Test:     []string{"CMD", "sh", "-c", "echo begun; sleep 1000"},
			Interval: 10 * time.Millisecond, Timeout: 300 * time.Millisecond, Retries: 1,
		}
	}, "sleep", "2000")
	require.NoError(t, f.Service.Start(t.Context(), id))
	h := f.waitHealth(t, id, container.Unhealthy)
	assert.Equal(t, -1, h.Log[0].ExitCode)
	assert.Equal(t, "Health check exceeded timeout (300ms): begun\n", h.Log[0].Output)
	require.NoError(t, f.Pause(t.Context(), id))
	require.NoError(t, f.Unpause(t.Context(), id))
	require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{Force: true}))
}

func TestAHealthCheckThatCannotRunSaysWhy(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "nosuch"}, Interval: 10 * time.Millisecond, Retries: 1}
	}, "sleep", "1000")
	require.NoError(t, f.Service.Start(t.Context(), id))
	h := f.waitHealth(t, id, container.Unhealthy)
	assert.Equal(t, -1, h.Log[0].ExitCode)
	assert.Contains(t, h.Log[0].Output, `exec: "nosuch": executable file not found`)
}

func TestOutputOfAHealthCheckIsBounded(t *testing.T) {
	out := new(limited)
	for range 100 {
		n, err := out.Write([]byte(strings.Repeat("x", 100)))
		require.NoError(t, err)
		assert.Equal(t, 100, n)
	}
	assert.Equal(t, strings.Repeat("x", maxProbeOutput)+"...", out.String())
}
