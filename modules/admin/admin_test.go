package admin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/admin"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type plugins []registry.Info

func (p plugins) List() []registry.Info { return p }

// pods knows the container "beef".
type pods struct{}

func (pods) Explain(_ context.Context, id string) (*explain.Explanation, error) {
	if id != "beef" {
		return nil, errdefs.ErrNotFound.WithMessage("No such container: " + id)
	}
	return &explain.Explanation{Create: []registry.Change{{Plugin: "limits"}}}, nil
}

func TestItAnswersForPluginsAndPods(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "px")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "x", admin.SocketName)
	list := plugins{{Name: "limits"}}
	reporter, err := telemetry.NewReporter(telemetry.ReporterParams{Recorder: telemetry.New(nil, zap.NewNop()), Plugins: list, Log: zap.NewNop()})
	require.NoError(t, err)
	s := admin.New(admin.Params{Socket: socket, Plugins: list, Pods: pods{}, Reporter: reporter, Log: zap.NewNop()})
	require.NoError(t, s.Start(t.Context()))
	info, err := os.Stat(socket)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())

	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for _, c := range []struct {
		path   string
		status int
		text   string
	}{
		{"/pouchfx/plugins", http.StatusOK, `"name":"limits"`},
		{"/pouchfx/explain/beef", http.StatusOK, `"Plugin":"limits"`},
		{"/pouchfx/explain/dead", http.StatusNotFound, `{"message":"No such container: dead"}`},
		{"/pouchfx/metrics", http.StatusOK, `pouchfx_plugin_status{plugin="limits",`},
		{"/pouchfx/health", http.StatusOK, `{"status":"ready"}`},
		{"/v1.44/containers/json", http.StatusNotFound, "this daemon has no Docker API"},
	} {
		res, err := web.Get("http://daemon" + c.path)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, c.status, res.StatusCode, c.path)
		assert.Contains(t, string(text), c.text)
	}
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()), "twice")
	assert.NoFileExists(t, socket)
}

func TestItMayBeStoppedWithoutHavingStarted(t *testing.T) {
	require.NoError(t, admin.New(admin.Params{Plugins: plugins{}, Pods: pods{}, Log: zap.NewNop()}).Stop(t.Context()))
}
