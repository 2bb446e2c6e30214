package telemetry_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// answer calls a handler.
func answer(t testing.TB, h http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	return w
}

// scrape returns the page of metrics.
func scrape(t testing.TB, r *telemetry.Reporter) string {
	t.Helper()
	w := answer(t, r.ServeMetrics)
	require.Equal(t, 200, w.Code, w.Body)
	return w.Body.String()
}

func TestMetricsAndHealthAreServed(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "px")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, address := range []string{"127.0.0.1:0", "unix://" + filepath.Join(dir, "m.sock")} {
		d := newDaemon(t, telemetry.New(nil, zap.NewNop()), nil)
		s := telemetry.NewServer(address, "", d.reporter, func(err error) { t.Error(err) }, zap.NewNop())
		require.NoError(t, s.Start(t.Context()))
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(s.Addr().Network(), s.Addr().String())
		}}}
		for path, want := range map[string]string{"/metrics": "pouchfx_build_info{", "/health": `{"status":"ready"}`} {
			res, err := client.Get("http://daemon" + path)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, 200, res.StatusCode, path)
			assert.Contains(t, string(body), want)
		}
		res, err := client.Get("http://daemon/containers/json")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, 404, res.StatusCode, "nothing else is served")
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Stop(t.Context()))
		_, err = net.Dial(s.Addr().Network(), s.Addr().String())
		assert.Error(t, err)
	}
}

func TestAnAddressInUseIsAnErrorThatSaysWhatToDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	s := telemetry.NewServer(l.Addr().String(), "", newDaemon(t, telemetry.New(nil, zap.NewNop()), nil).reporter, nil, zap.NewNop())
	assert.ErrorContains(t, s.Start(t.Context()), "choose another --metrics-addr")
	require.NoError(t, s.Stop(t.Context()))
}

func TestAnAddressThatOthersReachIsWarnedOf(t *testing.T) {
	for address, warnings := range map[string]int{"127.0.0.1:0": 0, "0.0.0.0:0": 1} {
		core, logs := observer.New(zapcore.WarnLevel)
		s := telemetry.NewServer(address, "", newDaemon(t, telemetry.New(nil, zap.NewNop()), nil).reporter, nil, zap.New(core))
		require.NoError(t, s.Start(t.Context()))
		require.NoError(t, s.Stop(t.Context()))
		assert.Equal(t, warnings, logs.Len(), address)
	}
}
