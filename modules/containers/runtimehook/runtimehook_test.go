package runtimehook

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const state = `{"ociVersion":"1.3.0","id":"x","status":"creating","pid":7,"bundle":"/b"}`

// opened is a door in a directory of its own.
func opened(t *testing.T, handle func(context.Context, specs.State) error) *Door {
	t.Helper()
	dir, err := os.MkdirTemp("", "px") // short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := NewDoor(filepath.Join(dir, "hooks", "network.sock"), handle)
	require.NoError(t, d.Open())
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestAHookWaitsForTheDaemon(t *testing.T) {
	begun, ready := make(chan specs.State), make(chan error)
	d := opened(t, func(_ context.Context, s specs.State) error {
		begun <- s
		return <-ready
	})
	for _, want := range []error{nil, errors.New("no address is free")} {
		result := make(chan error)
		go func() { result <- run(network, d.Path(), strings.NewReader(state)) }()
		got := <-begun
		assert.Equal(t, "x", got.ID)
		assert.Equal(t, 7, got.Pid)
		ready <- want
		assert.Equal(t, want, <-result, "the daemon's words reach the runtime")
	}
}

func TestAHookRefusesWhatItDoesNotKnow(t *testing.T) {
	d := opened(t, func(context.Context, specs.State) error { return nil })
	for name, text := range map[string]string{"other": state, network: "nonsense", "network ": "{}"} {
		assert.Error(t, run(name, d.Path(), strings.NewReader(text)), name)
	}
	assert.Error(t, run(network, d.Path(), strings.NewReader(`{}`)))
	assert.ErrorContains(t, run(network, d.Path()+"x", strings.NewReader(state)), "cannot reach the daemon")
}

func TestADaemonThatStopsDoesNotLeaveHooksHanging(t *testing.T) {
	begun := make(chan struct{})
	d := opened(t, func(ctx context.Context, _ specs.State) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	result := make(chan error)
	go func() { result <- run(network, d.Path(), strings.NewReader(state)) }()
	<-begun
	require.NoError(t, d.Close())
	assert.Error(t, <-result)
	require.NoError(t, d.Open(), "the next daemon opens it again")
	info, err := os.Stat(filepath.Dir(d.Path()))
	require.NoError(t, err)
	assert.EqualValues(t, 0o700, info.Mode().Perm())
}

func TestAHookNoticesThatTheDaemonDied(t *testing.T) {
	dir, err := os.MkdirTemp("", "px")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
		}
	}()
	assert.Error(t, run(network, path, strings.NewReader(state)))
	require.NoError(t, listener.Close())
}
