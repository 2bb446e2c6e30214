package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corecontainers "github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pouchfx/pouchfx/modules/containers/stdio"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/types"
)

// What a kill -9 leaves is finished or undone by the next start.
func TestStartFinishesOrUndoesWhatAKillInterrupted(t *testing.T) {
	f := newFixture(t, nil)

	t.Run("a create that had made a volume", func(t *testing.T) {
		ctx := f.engine.Context(t.Context())
		c := newCtr(newID(), &record{Snapshotter: f.engine.Snapshotter()}, nil)
		volume := newID()
		_, err := f.lease(ctx, c, []string{volume})
		require.NoError(t, err)
		_, err = f.volumes.CreateFor(ctx, &types.VolumeCreateConfig{Name: volume}, c.id)
		require.NoError(t, err)
		f.reopen(t)
		_, err = f.volumes.Get(ctx, volume)
		assert.True(t, errdefs.IsNotFound(err), "%v", err)
		leases, err := f.engine.Client().LeasesService().List(ctx)
		require.NoError(t, err)
		assert.Empty(t, leases)
	})
	t.Run("a start before there was a process", func(t *testing.T) {
		id := f.create(t, "", nil, "true")
		f.beginStart(t, id)
		f.reopen(t)
		f.neverStarted(t, id)
	})
	t.Run("a start with a process that did not run yet", func(t *testing.T) {
		id := f.create(t, "", nil, "true")
		f.beginStart(t, id)
		loaded, err := f.engine.Client().LoadContainer(t.Context(), id)
		require.NoError(t, err)
		pipes, err := stdio.OpenPipes(f.execDir(id), "", false, false)
		require.NoError(t, err)
		_, err = loaded.NewTask(t.Context(), func(string) (cio.IO, error) { return pipes, nil })
		require.NoError(t, err)
		require.NoError(t, pipes.Release())
		f.reopen(t)
		_, err = loaded.Task(t.Context(), nil)
		require.True(t, errdefs.IsNotFound(err), "%v", err)
		f.neverStarted(t, id)
	})
	t.Run("a start of which only the runtime knows", func(t *testing.T) {
		id := f.create(t, "", nil, "true")
		for _, id := range []string{id, newID()} {
			require.NoError(t, os.MkdirAll(f.runtimeState(id), 0o711))
		}
		f.reopen(t)
		left, err := os.ReadDir(f.runtimeState(""))
		require.NoError(t, err)
		assert.Empty(t, left)
		require.NoError(t, os.Mkdir(f.runtimeState(id), 0o711))
		assert.Zero(t, f.startAndWait(t, id))
	})
	t.Run("a start of a container that had run", func(t *testing.T) {
		id := f.create(t, "", nil, "sh", "-c", "exit 3")
		require.Equal(t, 3, f.startAndWait(t, id))
		before := f.inspect(t, id).State
		f.beginStart(t, id)
		f.reopen(t)
		assert.Equal(t, before, f.inspect(t, id).State)
	})
	t.Run("a run whose end nobody saw", func(t *testing.T) {
		id := f.create(t, "", nil, "true")
		f.beginStart(t, id)
		require.NoError(t, f.forgetStart(id))
		f.reopen(t)
		state := f.inspect(t, id).State
		assert.EqualValues(t, container.StateExited, state.Status)
		assert.Equal(t, exitUnknown, state.ExitCode)
	})
	t.Run("a removal with anonymous volumes", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) {
			c.Volumes = map[string]struct{}{"/one": {}, "/two": {}}
		}, "true")
		c, err := f.index.get(id)
		require.NoError(t, err)
		ctx := f.engine.Context(t.Context())
		require.NoError(t, f.change(ctx, c, nil, func(r *record) { r.Removing = true }))
		first := c.record().Mounts[0].Name
		f.volumes.Release(ctx, first, id)
		require.NoError(t, f.volumes.Remove(ctx, first, false))
		f.reopen(t)
		_, err = f.Inspect(t.Context(), id, false)
		require.True(t, errdefs.IsNotFound(err), "%v", err)
		assert.NoDirExists(t, f.dir(id))
		left, err := f.volumes.List(t.Context(), filters.Args{})
		require.NoError(t, err)
		assert.Empty(t, left.Volumes)
	})
}

// beginStart does what a start does before it makes a process.
func (f *fixture) beginStart(t *testing.T, id string) {
	t.Helper()
	c, err := f.index.get(id)
	require.NoError(t, err)
	ctx := f.engine.Context(t.Context())
	view, hooks, err := f.preStart(ctx, c)
	require.NoError(t, err)
	var undo undoList
	spec, err := f.spec(ctx, c, view, nil, hooks, &undo)
	require.NoError(t, err)
	require.NoError(t, f.saveStart(ctx, c, spec, false, &undo))
}

// neverStarted checks that a container is as it was created, and can be started.
func (f *fixture) neverStarted(t *testing.T, id string) {
	t.Helper()
	state := f.inspect(t, id).State
	assert.EqualValues(t, container.StateCreated, state.Status)
	assert.Zero(t, state.ExitCode)
	at, err := time.Parse(time.RFC3339Nano, state.StartedAt)
	require.NoError(t, err)
	assert.True(t, at.IsZero(), "%v", at)
	assert.NoDirExists(t, f.execDir(id))
	assert.Zero(t, f.startAndWait(t, id))
}

// A record that cannot be read costs its container, not the daemon.
func TestADamagedRecordDoesNotKeepTheDaemonFromStarting(t *testing.T) {
	f := newFixture(t, nil)
	damaged := f.create(t, "damaged", nil, "true")
	good := f.create(t, "good", nil, "true")
	ctx := f.engine.Context(t.Context())
	setRecord := func(value typeurl.Any) {
		t.Helper()
		_, err := f.engine.Client().ContainerService().Update(ctx, corecontainers.Container{
			ID: damaged, Extensions: map[string]typeurl.Any{extension: value},
		}, "extensions."+extension)
		require.NoError(t, err)
	}
	c, err := f.index.get(damaged)
	require.NoError(t, err)
	whole, err := c.record().encode()
	require.NoError(t, err)
	setRecord(&anypb.Any{TypeUrl: recordURL, Value: whole.GetValue()[:50]})

	f.reopen(t)
	_, err = f.Inspect(t.Context(), damaged, false)
	require.True(t, errdefs.IsNotFound(err), "%v", err)
	assert.Zero(t, f.startAndWait(t, good))

	setRecord(whole)
	f.reopen(t)
	assert.Equal(t, "/damaged", f.inspect(t, damaged).Name)
	assert.DirExists(t, f.dir(damaged))
	assert.Zero(t, f.startAndWait(t, damaged), "nothing of it was removed")
}

// The log goes on where the last daemon stopped, whatever happened to it.
func TestLogsThatWereTamperedWith(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", nil, "sh", "-c", "i=0; while [ ! -e /end ]; do echo $i; i=$((i+1)); sleep 0.005; done")
	require.NoError(t, f.Service.Start(t.Context(), id))
	log := filepath.Join(f.dir(id), id+"-json.log")
	lines := func() string { return f.logs(t, id, LogsOptions{Tail: -1}).text(1) }
	some := func() {
		t.Helper()
		require.Eventually(t, func() bool { return len(lines()) > 200 }, 10*time.Second, time.Millisecond)
	}
	some()
	for _, step := range []struct {
		what string
		f    func()
	}{
		{"emptied", func() { require.NoError(t, os.Truncate(log, 0)) }},
		{"removed", func() { require.NoError(t, os.Remove(log)) }},
		{"emptied while no daemon was there", func() { f.shut(t); require.NoError(t, os.Truncate(log, 0)); f.open(t, nil) }},
		{"removed while no daemon was there", func() { f.shut(t); require.NoError(t, os.Remove(log)); f.open(t, nil) }},
		{"without a spool", func() {
			f.shut(t)
			require.NoError(t, os.Remove(filepath.Join(f.dir(id), "stdout.spool")))
			require.NoError(t, os.Truncate(log, 0))
			f.open(t, nil)
		}},
	} {
		before := lines()
		step.f()
		some()
		after := lines()
		assert.NotContains(t, after, before[:100], step.what)
		inOrder(t, after, step.what)
	}
}

// inOrder checks that text is lines of numbers, each one more than the last.
func inOrder(t *testing.T, text, what string) {
	t.Helper()
	last := -1
	for line := range strings.Lines(text) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err, what)
		if last >= 0 {
			require.Equal(t, last+1, n, what)
		}
		last = n
	}
}
