package shim

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	tasks "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	return path
}

// speak writes to a pipe as a process does that ends then.
func speak(t *testing.T, path string, text []byte) {
	t.Helper()
	w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// left reads what is in a pipe that nobody writes to.
func left(t *testing.T, path string) []byte {
	t.Helper()
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return text
}

func TestHeldOutputStaysAfterItsWriter(t *testing.T) {
	path := namedPipe(t)
	o, err := HoldOutput(path, "")
	require.NoError(t, err)
	speak(t, path, []byte("last words"))
	assert.Equal(t, "last words", string(left(t, path)), "and a reader finds the end")

	require.NoError(t, o.Grow(256<<10))
	speak(t, path, make([]byte, 200<<10))
	require.NoError(t, o.Close())
	assert.Empty(t, left(t, path))
}

func TestOnlyPipesAreHeld(t *testing.T) {
	path := namedPipe(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	for _, bad := range []string{file, link, filepath.Dir(path), filepath.Join(t.TempDir(), "none"), "binary:///usr/bin/logger"} {
		o, err := HoldOutput(bad, path)
		require.Error(t, err, bad)
		require.Len(t, o, 1, "the other one is held")
		require.NoError(t, o.Close())
	}
}

// service answers every call of a task service, or none.
type service struct {
	tasks.TTRPCTaskService
	err error
}

func (s service) Create(context.Context, *tasks.CreateTaskRequest) (*tasks.CreateTaskResponse, error) {
	return nil, s.err
}

func (s service) Delete(context.Context, *tasks.DeleteRequest) (*tasks.DeleteResponse, error) {
	return nil, s.err
}

func TestOutputIsHeldFromCreateToDelete(t *testing.T) {
	ctx, path := t.Context(), namedPipe(t)
	failed := errors.New("failed")
	held := func(h *holding) bool {
		w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0) // needs a reader
		if err == nil {
			w.Close()
		}
		return err == nil
	}
	next := &service{err: failed}
	h := newHolding(next)
	create := &tasks.CreateTaskRequest{ID: "c", Stdout: path}
	_, err := h.Create(ctx, create)
	require.ErrorIs(t, err, failed)
	assert.False(t, held(h))
	next.err = nil
	_, err = h.Create(ctx, create)
	require.NoError(t, err)
	require.True(t, held(h))
	_, err = h.Delete(ctx, &tasks.DeleteRequest{ID: "c", ExecID: "e"})
	require.NoError(t, err)
	require.True(t, held(h), "only an execution was deleted")
	next.err = failed
	_, err = h.Delete(ctx, &tasks.DeleteRequest{ID: "c"})
	require.ErrorIs(t, err, failed)
	require.True(t, held(h))
	next.err = nil
	_, err = h.Delete(ctx, &tasks.DeleteRequest{ID: "c"})
	require.NoError(t, err)
	assert.False(t, held(h))
}

func TestAShimWithoutContainersIsDeserted(t *testing.T) {
	ctx := t.Context()
	next := &service{err: errors.New("failed")}
	h := newHolding(next)
	assert.False(t, h.deserted(), "it is new")
	assert.True(t, h.deserted())
	_, err := h.Create(ctx, &tasks.CreateTaskRequest{ID: "c"})
	require.Error(t, err)
	assert.False(t, h.deserted(), "there was a try since")
	assert.True(t, h.deserted(), "which failed")

	next.err = nil
	_, err = h.Create(ctx, &tasks.CreateTaskRequest{ID: "c"})
	require.NoError(t, err)
	for range 3 {
		assert.False(t, h.deserted())
	}
	_, err = h.Delete(ctx, &tasks.DeleteRequest{ID: "c"})
	require.NoError(t, err)
	assert.False(t, h.deserted(), "it had one")
	assert.True(t, h.deserted())

	blocked := &blocking{begun: make(chan struct{}), end: make(chan struct{})}
	h = newHolding(blocked)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = h.Create(ctx, &tasks.CreateTaskRequest{ID: "c"})
	}()
	<-blocked.begun
	for range 3 {
		assert.False(t, h.deserted(), "a create takes its time")
	}
	close(blocked.end)
	<-ended
}

// blocking is a service whose creates take their time.
type blocking struct {
	tasks.TTRPCTaskService
	begun, end chan struct{}
}

func (b *blocking) Create(context.Context, *tasks.CreateTaskRequest) (*tasks.CreateTaskResponse, error) {
	close(b.begun)
	<-b.end
	return nil, errors.New("failed")
}
