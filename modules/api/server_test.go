package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestVersionsAreNegotiated(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/_ping":                         {200, "OK"},
		"/v1.24/_ping":                   {200, "OK"},
		"/v1.44/_ping":                   {200, "OK"},
		"/v1.45/_ping":                   {400, `{"message":"client version 1.45 is too new. Maximum supported API version is 1.44"}` + "\n"},
		"/v2.0/_ping":                    {400, `{"message":"client version 2.0 is too new. Maximum supported API version is 1.44"}` + "\n"},
		"/v1.23/_ping":                   {400, `{"message":"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"}` + "\n"},
		"/v1.99999999999999999999/_ping": {404, `{"message":"page not found"}` + "\n"},
		"/vx/_ping":                      {404, `{"message":"page not found"}` + "\n"},
		"/nosuch":                        {404, `{"message":"page not found"}` + "\n"},
		"/v1.44/containers/x":            {404, `{"message":"page not found"}` + "\n"},
	} {
		res, body := conn.do("GET", path, "")
		assert.Equal(t, want.status, res.StatusCode, path)
		assert.Equal(t, want.text, body, path)
		assert.Equal(t, "1.44", res.Header.Get("Api-Version"), path)
		assert.Equal(t, "linux", res.Header.Get("Ostype"), path)
		assert.Equal(t, "false", res.Header.Get("Docker-Experimental"), path)
		assert.NotEmpty(t, res.Header.Get("Server"), path)
	}
}

func TestPingTellsWhatTheDaemonSpeaks(t *testing.T) {
	d := startDaemon(t)
	res, _ := d.dial().do("HEAD", "/_ping", "")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "1", res.Header.Get("Builder-Version"))
	assert.Equal(t, "inactive", res.Header.Get("Swarm"))
	assert.Equal(t, "no-cache, no-store, must-revalidate", res.Header.Get("Cache-Control"))

	c := d.client()
	_, err := c.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	require.NoError(t, err)
	assert.Equal(t, "1.44", c.ClientVersion())
	info, err := c.Info(t.Context(), client.InfoOptions{})
	require.NoError(t, err)
	assert.Equal(t, 6, info.Info.Containers)
	version, err := c.ServerVersion(t.Context(), client.ServerVersionOptions{})
	require.NoError(t, err)
	assert.Equal(t, "1.24", version.MinAPIVersion)
	assert.Len(t, version.Components, 3)
}

func TestErrorClassesChooseTheStatus(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial() // one connection: errors leave it usable
	for class, status := range map[error]int{
		errdefs.ErrInvalidArgument: 400, errdefs.ErrUnauthenticated: 401, errdefs.ErrPermissionDenied: 403, errdefs.ErrNotFound: 404,
		errdefs.ErrConflict: 409, errdefs.ErrAlreadyExists: 409, errdefs.ErrFailedPrecondition: 409, errdefs.ErrOutOfRange: 400,
		errdefs.ErrNotImplemented: 501, errdefs.ErrUnavailable: 503, errdefs.ErrInternal: 500, errors.New("plain"): 500, context.DeadlineExceeded: 500,
	} {
		d.containers.err = fmt.Errorf("because: %w", class)
		res, body := conn.do("POST", "/v1.44/containers/web/start", "")
		assert.Equal(t, status, res.StatusCode, "%v", class)
		assert.Equal(t, "application/json", res.Header.Get("Content-Type"))
		assert.Equal(t, fmt.Sprintf("{\"message\":\"because: %v\"}\n", class), body)
	}
	d.containers.err = errdefs.ErrNotModified
	res, body := conn.do("POST", "/containers/web/start", "")
	assert.Equal(t, 304, res.StatusCode)
	assert.Empty(t, body)
	d.containers.err = nil
	res, _ = conn.do("POST", "/containers/web/start", "")
	assert.Equal(t, 204, res.StatusCode)
}

func TestAPanicIsAnAnswerAndTheDaemonLives(t *testing.T) {
	d := startDaemon(t, func(p *Params) {
		p.Hooks = hooks(func(all []*types.HandlerSpec) []*types.HandlerSpec {
			return append(all, types.NewHandlerSpec("GET", "/broken", func(context.Context, http.ResponseWriter, *http.Request) error {
				panic("at the disco")
			}))
		})
		p.Log = p.Log.WithOptions() // its error output is wanted
	})
	conn := d.dial()
	res, body := conn.do("GET", "/broken", "")
	assert.Equal(t, 500, res.StatusCode)
	assert.Contains(t, body, "at the disco")
	res, _ = conn.do("GET", "/_ping", "")
	assert.Equal(t, 200, res.StatusCode)
}

func TestPluginsWrapAddAndRemoveRoutes(t *testing.T) {
	var asked plugins.Request
	d := startDaemon(t, func(p *Params) {
		p.Hooks = hooks(func(all []*types.HandlerSpec) []*types.HandlerSpec {
			var kept []*types.HandlerSpec
			for _, s := range all {
				if s.Path == "/info" {
					continue
				}
				if s.Path == "/containers/{name:.*}/start" {
					next := s.HandlerFunc
					s.HandlerFunc = func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
						asked = plugins.RequestFrom(ctx)
						w.Header().Set("X-Wrapped", r.PathValue("name"))
						return next(ctx, w, r)
					}
				}
				kept = append(kept, s)
			}
			return append(kept, types.NewHandlerSpec("GET", "/images/{name:.*}/scan", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
				_, err := w.Write([]byte("scanned " + r.PathValue("name")))
				return err
			}))
		})
	})
	conn := d.dial()
	res, _ := conn.do("POST", "/v1.44/containers/web/start", "")
	assert.Equal(t, 204, res.StatusCode)
	assert.Equal(t, "web", res.Header.Get("X-Wrapped"))
	assert.Equal(t, plugins.Request{FrontEnd: plugins.FrontEndDocker, Name: "web", RemoteUser: fmt.Sprintf("uid:%d", os.Getuid())}, asked)
	_, body := conn.do("GET", "/v1.44/images/a/b:c/scan", "")
	assert.Equal(t, "scanned a/b:c", body)
	res, _ = conn.do("GET", "/info", "")
	assert.Equal(t, 404, res.StatusCode)
}

func TestABadRouteFailsTheStart(t *testing.T) {
	d := newDaemon(t, func(p *Params) {
		p.Hooks = hooks(func(all []*types.HandlerSpec) []*types.HandlerSpec {
			return append(all, types.NewHandlerSpec("GET", "/info", nop))
		})
	})
	assert.ErrorContains(t, d.Start(t.Context()), "/info")
	assert.NoFileExists(t, d.socket)
	assert.NoError(t, d.Stop(t.Context()), "stopping what did not start")
}

func TestASilentClientIsClosed(t *testing.T) {
	d := newDaemon(t)
	d.timeouts.header = 50 * time.Millisecond
	require.NoError(t, d.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	conn := d.dial()
	_, err := conn.Write([]byte("GET /_ping HTTP/1.1\r\n"))
	require.NoError(t, err)
	_, err = conn.in.ReadString(0)
	assert.Error(t, err)
	var timeout net.Error
	assert.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the server closes, not the test: %v", err)
}

func TestASlowBodyIsCutOff(t *testing.T) {
	d := newDaemon(t)
	d.timeouts.request = 50 * time.Millisecond
	require.NoError(t, d.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	conn := d.dial()
	_, err := conn.Write([]byte("POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"))
	require.NoError(t, err)
	res, body := conn.response("POST")
	assert.Equal(t, 408, res.StatusCode)
	assert.Contains(t, body, "did not come in time")
}

func TestABrokenBodyIsTheClientsFault(t *testing.T) {
	d := startDaemon(t)
	for _, path := range []string{"/containers/create", "/containers/web/update"} {
		conn, err := net.Dial("unix", d.socket)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, 400, res.StatusCode, path)
		assert.Contains(t, string(text), "cannot read the request's body: invalid byte in chunk length", path)
	}
}

func TestAHugeBodyIsRefused(t *testing.T) {
	d := startDaemon(t)
	body := `{"Image":"` + strings.Repeat("x", maxBody) + `"}`
	for _, path := range []string{"/containers/create", "/volumes/create", "/containers/web/exec"} {
		res, err := d.http().Post("http://d"+path, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		assert.Equal(t, 413, res.StatusCode, path)
		require.NoError(t, res.Body.Close())
	}
	assert.Nil(t, d.containers.created)
	res, err := d.http().Post("http://d/containers/web/update", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	assert.Equal(t, 413, res.StatusCode)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), "the request's body is larger than 4 MiB")
	require.NoError(t, res.Body.Close())

	res, err = d.http().Post("http://d/images/load", "application/x-tar", bytes.NewReader(make([]byte, maxBody+1)))
	require.NoError(t, err)
	assert.Equal(t, 200, res.StatusCode, "archives may be as big as they are")
	require.NoError(t, res.Body.Close())
	assert.Len(t, d.images.loaded, maxBody+1)
}

func TestStopEndsStreamsAtOnceAndWaitsForTheRest(t *testing.T) {
	d := newDaemon(t)
	require.NoError(t, d.Start(t.Context()))
	started, finish := make(chan struct{}), make(chan struct{})
	d.containers.attach = func(ctx context.Context, _ containers.Streams, attached func()) error {
		attached()
		<-ctx.Done()
		return ctx.Err()
	}
	d.containers.logs = func(ctx context.Context, _ containers.LogsOptions, _ containers.LogSink) error {
		close(started)
		<-finish
		return nil
	}
	attached, events, slow := d.dial(), d.dial(), d.dial()
	attached.request("POST", "/containers/web/attach?stream=1&stdout=1", "", "Connection: Upgrade", "Upgrade: tcp")
	assert.Contains(t, attached.head(), "101 UPGRADED")
	events.request("GET", "/events", "")
	assert.Contains(t, events.head(), "200 OK")
	slow.request("GET", "/containers/web/logs?stdout=1", "")
	<-started

	stopped := make(chan error)
	go func() { stopped <- d.Stop(context.Background()) }()
	_, err := attached.in.ReadByte()
	assert.Error(t, err, "the attached client is told")
	_, err = events.in.ReadString('x')
	assert.Error(t, err, "the events end")
	assert.Eventually(t, func() bool {
		conn, err := net.Dial("unix", d.socket)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "no new client")
	close(finish)
	res, _ := slow.response("GET")
	assert.Equal(t, 200, res.StatusCode, "what was in progress is finished")
	assert.NoError(t, <-stopped)
	assert.NoError(t, d.Stop(context.Background()), "twice")
}

func TestStopBreaksOffWhatDoesNotEnd(t *testing.T) {
	d := newDaemon(t, func(p *Params) { p.Config.ShutdownTimeout = 100 * time.Millisecond })
	require.NoError(t, d.Start(t.Context()))
	release := make(chan struct{})
	d.containers.attach = func(_ context.Context, s containers.Streams, attached func()) error {
		attached()
		<-release // deaf to its context
		_, err := s.Stdout.Write([]byte("late"))
		return err
	}
	conn := d.dial()
	conn.request("POST", "/containers/web/attach?stream=1&stdout=1", "", "Connection: Upgrade", "Upgrade: tcp")
	conn.head()
	assert.ErrorContains(t, d.Stop(context.Background()), "broke off")
	_, err := conn.in.ReadByte()
	assert.Error(t, err)
	close(release)
}

// http is a plain HTTP client.
func (d *daemon) http() *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
	}}
	d.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}
