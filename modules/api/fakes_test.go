package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	pluginregistry "github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeContainers answers what a test tells it to, and for one container named
// "web" otherwise.
type fakeContainers struct {
	err       error // of all that has no field of its own
	tty       bool
	created   *containers.CreateOptions
	inspected *container.InspectResponse
	listed    containers.ListOptions
	list      []container.Summary
	stopped   *int
	removed   containers.RemoveOptions
	updated   string
	committed containers.CommitOptions
	waits     func(ctx context.Context) (<-chan container.WaitResponse, error)
	attach    func(ctx context.Context, s containers.Streams, attached func()) error
	exec      func(ctx context.Context, s containers.Streams, attached func()) error
	logs      func(ctx context.Context, o containers.LogsOptions, out containers.LogSink) error
	request   context.Context // of the last create
	connected string          // network
	endpoint  *network.EndpointSettings
	files     fakeFiles
	stats     containers.StatsOptions
	// explained is what plugins did, or why it cannot be told.
	explained   *explain.Explanation
	unexplained error
}

var errNoWeb = errdefs.ErrNotFound.WithMessage("No such container: nosuch")

func (f *fakeContainers) find(name string) error {
	if name != "web" && f.err == nil {
		return errNoWeb
	}
	return f.err
}

func (f *fakeContainers) Create(ctx context.Context, o containers.CreateOptions) (container.CreateResponse, error) {
	f.created, f.request = &o, ctx
	return container.CreateResponse{ID: "abc"}, f.err
}
func (f *fakeContainers) DryRun(ctx context.Context, o containers.CreateOptions) (*explain.DryRun, error) {
	f.created, f.request = &o, ctx
	return &explain.DryRun{Config: o.Config}, f.err
}
func (f *fakeContainers) Explain(_ context.Context, name string) (*explain.Explanation, error) {
	if name == "nosuch" || name == "beef" {
		return nil, errNoWeb
	}
	if f.explained == nil {
		return new(explain.Explanation), f.unexplained
	}
	return f.explained, f.unexplained
}
func (f *fakeContainers) Start(_ context.Context, name string) error { return f.find(name) }
func (f *fakeContainers) Stop(_ context.Context, name string, timeout *int, _ string) error {
	f.stopped = timeout
	return f.find(name)
}
func (f *fakeContainers) Connect(_ context.Context, name, networkName string, e *network.EndpointSettings) error {
	f.connected, f.endpoint = networkName, e
	return f.find(name)
}
func (f *fakeContainers) Disconnect(_ context.Context, name, _ string, _ bool) error {
	f.connected = ""
	return f.find(name)
}
func (f *fakeContainers) Kill(_ context.Context, name, _ string) error { return f.find(name) }
func (f *fakeContainers) Restart(_ context.Context, name string, _ *int, _ string) error {
	return f.find(name)
}
func (f *fakeContainers) Pause(_ context.Context, name string) error     { return f.find(name) }
func (f *fakeContainers) Unpause(_ context.Context, name string) error   { return f.find(name) }
func (f *fakeContainers) Rename(_ context.Context, name, _ string) error { return f.find(name) }
func (f *fakeContainers) Remove(_ context.Context, name string, o containers.RemoveOptions) error {
	f.removed = o
	return f.find(name)
}
func (f *fakeContainers) Wait(ctx context.Context, name string, _ container.WaitCondition) (<-chan container.WaitResponse, error) {
	if f.waits == nil {
		return nil, f.find(name)
	}
	return f.waits(ctx)
}
func (f *fakeContainers) List(_ context.Context, o containers.ListOptions) ([]container.Summary, error) {
	f.listed = o
	return f.list, f.err
}
func (f *fakeContainers) Inspect(_ context.Context, name string, _ bool) (*container.InspectResponse, error) {
	if err := f.find(name); err != nil {
		return nil, err
	}
	return f.inspected, nil
}
func (f *fakeContainers) Logs(ctx context.Context, _ string, o containers.LogsOptions, out containers.LogSink) error {
	return f.logs(ctx, o, out)
}
func (f *fakeContainers) TTY(_ context.Context, name string) (bool, error) {
	return f.tty, f.find(name)
}
func (f *fakeContainers) Attach(ctx context.Context, _ string, _ containers.AttachOptions, s containers.Streams, attached func()) error {
	return f.attach(ctx, s, attached)
}
func (f *fakeContainers) Resize(_ context.Context, name string, _, _ uint32) error {
	return f.find(name)
}
func (f *fakeContainers) Top(_ context.Context, name, _ string) (*container.TopResponse, error) {
	return &container.TopResponse{Titles: []string{"PID"}, Processes: [][]string{{"1"}}}, f.find(name)
}
func (f *fakeContainers) Stats(_ context.Context, name string, o containers.StatsOptions, send func(*container.StatsResponse) error) error {
	if err := f.find(name); err != nil {
		return err
	}
	f.stats = o
	return send(&container.StatsResponse{Name: "/web"})
}
func (f *fakeContainers) Update(_ context.Context, name string, body io.ReadCloser) (container.UpdateResponse, error) {
	text, err := io.ReadAll(body)
	f.updated = string(text)
	return container.UpdateResponse{}, errors.Join(err, f.find(name))
}
func (f *fakeContainers) Prune(context.Context, filters.Args) (container.PruneReport, error) {
	return container.PruneReport{ContainersDeleted: []string{"abc"}, SpaceReclaimed: 5}, f.err
}
func (f *fakeContainers) Counts() (running, paused, stopped int) { return 2, 1, 3 }

func (f *fakeContainers) ExecCreate(_ context.Context, name string, _ container.ExecCreateRequest) (string, error) {
	return "e1", f.find(name)
}
func (f *fakeContainers) ExecStart(ctx context.Context, _ string, o containers.ExecStartOptions, s containers.Streams, attached func()) error {
	if o.Detach {
		return f.err
	}
	return f.exec(ctx, s, attached)
}
func (f *fakeContainers) ExecResize(context.Context, string, uint32, uint32) error { return f.err }
func (f *fakeContainers) ExecInspect(_ context.Context, id string) (*container.ExecInspectResponse, error) {
	code := 4
	_, err := f.ExecTTY(id)
	return &container.ExecInspectResponse{ID: id, ExitCode: &code, ProcessConfig: &container.ExecProcessConfig{}}, err
}
func (f *fakeContainers) ExecTTY(id string) (bool, error) {
	if id != "e1" {
		return false, errdefs.ErrNotFound.WithMessage("No such exec instance: " + id)
	}
	return false, nil
}

type fakeImages struct {
	err       error
	pull      func(ref reference.Named, progress func(jsonstream.Message)) error
	pulled    images.PullOptions
	pulledAll string
	pushed    images.PushOptions
	loaded    []byte
	saved     []string
	imported  images.ImportOptions
	searched  images.SearchOptions
	name      string
	tagged    reference.NamedTagged
	list      []image.Summary
}

func (f *fakeImages) Pull(_ context.Context, ref reference.Named, o images.PullOptions) (*images.Image, error) {
	f.pulled = o
	return nil, f.pull(ref, o.Progress)
}
func (f *fakeImages) PullAll(_ context.Context, ref reference.Named, o images.PullOptions) error {
	f.pulled, f.pulledAll = o, ref.String()
	return f.pull(ref, o.Progress)
}
func (f *fakeImages) Load(_ context.Context, r io.Reader, progress func(jsonstream.Message)) ([]string, error) {
	var err error
	f.loaded, err = io.ReadAll(r)
	progress(jsonstream.Message{Stream: "Loaded image: busybox:latest\n"})
	return []string{"busybox:latest"}, err
}
func (f *fakeImages) List(context.Context, images.ListOptions) ([]image.Summary, error) {
	return f.list, f.err
}
func (f *fakeImages) Inspect(_ context.Context, name string) (*image.InspectResponse, error) {
	f.name = name
	return &image.InspectResponse{ID: "sha256:1", Size: 7}, f.err
}
func (f *fakeImages) History(context.Context, string) ([]image.HistoryResponseItem, error) {
	return []image.HistoryResponseItem{{CreatedBy: "CMD"}}, f.err
}
func (f *fakeImages) Remove(_ context.Context, name string, _, _ bool) ([]image.DeleteResponse, error) {
	f.name = name
	return []image.DeleteResponse{{Untagged: name}}, f.err
}
func (f *fakeImages) Tag(_ context.Context, source string, target reference.NamedTagged) error {
	f.name, f.tagged = source, target
	return f.err
}
func (f *fakeImages) Prune(context.Context, filters.Args) (image.PruneReport, error) {
	return image.PruneReport{}, f.err
}
func (f *fakeImages) CheckAuth(_ context.Context, a registry.AuthConfig) (registry.AuthResponse, error) {
	if a.Password != "right" {
		return registry.AuthResponse{}, errdefs.ErrUnauthenticated.WithMessage("incorrect username or password")
	}
	return registry.AuthResponse{Status: "Login Succeeded"}, nil
}

type fakeVolumes struct {
	err    error
	pruned filters.Args
}

func (f *fakeVolumes) Create(_ context.Context, c *types.VolumeCreateConfig) (*volume.Volume, error) {
	return &volume.Volume{Name: c.Name, Driver: "local"}, f.err
}
func (f *fakeVolumes) Get(_ context.Context, name string) (*volume.Volume, error) {
	return &volume.Volume{Name: name}, f.err
}
func (f *fakeVolumes) List(context.Context, filters.Args) (volume.ListResponse, error) {
	return volume.ListResponse{}, f.err
}
func (f *fakeVolumes) Remove(context.Context, string, bool) error { return f.err }
func (f *fakeVolumes) Prune(_ context.Context, args filters.Args) (volume.PruneReport, error) {
	f.pruned = args
	return volume.PruneReport{}, f.err
}
func (f *fakeVolumes) Usage(context.Context) ([]volume.Volume, error) {
	return []volume.Volume{{Name: "data", UsageData: &volume.UsageData{Size: 7, RefCount: 1}}}, f.err
}

type fakeEngine struct{}

func (fakeEngine) Versions(context.Context) (containerd.Versions, error) {
	return containerd.Versions{Containerd: "v2.4.2", Runc: "1.5.2", Seccomp: true}, nil
}
func (fakeEngine) Snapshotter() string { return "overlayfs" }

// fakePods knows one container, with the id "beef".
type fakePods struct{}

func (fakePods) Explain(_ context.Context, id string) (*explain.Explanation, error) {
	if id != "beef" {
		return nil, errNoWeb
	}
	return &explain.Explanation{Create: []pluginregistry.Change{{Plugin: "of pods"}}}, nil
}

type fakePlugins []pluginregistry.Info

func (f fakePlugins) List() []pluginregistry.Info { return f }

// hooks is an API plugin made of a function.
type hooks func([]*types.HandlerSpec) []*types.HandlerSpec

func (h hooks) UpdateHandler(_ context.Context, all []*types.HandlerSpec) []*types.HandlerSpec {
	if h == nil {
		return all
	}
	return h(all)
}

// daemon is a server over fakes.
type daemon struct {
	*Server
	t          *testing.T
	socket     string
	containers *fakeContainers
	images     *fakeImages
	volumes    *fakeVolumes
	networks   *fakeNetworks
	bus        *events.Bus
}

// newDaemon returns one that is not started.
func newDaemon(t *testing.T, edit ...func(*Params)) *daemon {
	dir, err := os.MkdirTemp("/tmp", "px")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	d := &daemon{t: t, socket: filepath.Join(dir, "s"), containers: &fakeContainers{}, images: &fakeImages{}, volumes: &fakeVolumes{}, networks: &fakeNetworks{}, bus: events.New()}
	c := config.Default()
	c.Hosts = []string{"unix://" + d.socket}
	c.ShutdownTimeout = 5 * time.Second
	p := Params{
		Config: &c, Containers: d.containers, Images: d.images, Volumes: d.volumes, Networks: d.networks, Engine: fakeEngine{}, Pods: fakePods{}, Events: d.bus,
		Plugins: fakePlugins{{Name: "one", Status: pluginregistry.Running}}, Hooks: hooks(nil), Timeline: lifecycle.NewTimeline(),
		Log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
	}
	p.Recorder = telemetry.New(nil, p.Log)
	p.Reporter, err = telemetry.NewReporter(telemetry.ReporterParams{Recorder: p.Recorder, Plugins: p.Plugins, Timeline: p.Timeline, Log: p.Log})
	require.NoError(t, err)
	for _, e := range edit {
		e(&p)
	}
	d.Server = New(p)
	return d
}

// startDaemon returns one that serves until the test ends.
func startDaemon(t *testing.T, edit ...func(*Params)) *daemon {
	d := newDaemon(t, edit...)
	d.start()
	return d
}

// start lets it serve until the test ends.
func (d *daemon) start() {
	require.NoError(d.t, d.Start(d.t.Context()))
	d.t.Cleanup(func() { require.NoError(d.t, d.Stop(context.Background())) })
}

// client is Docker's.
func (d *daemon) client(options ...client.Opt) *client.Client {
	c, err := client.New(append([]client.Opt{client.WithHost("unix://" + d.socket)}, options...)...)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, c.Close()) })
	return c
}

// dial opens a raw connection.
func (d *daemon) dial() *rawConn {
	conn, err := net.Dial("unix", d.socket)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(d.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &rawConn{UnixConn: conn.(*net.UnixConn), t: d.t, in: bufio.NewReader(conn)}
}

type rawConn struct {
	*net.UnixConn
	t  *testing.T
	in *bufio.Reader
}

// request sends a request with a body of JSON.
func (c *rawConn) request(method, path, body string, headers ...string) {
	kind := ""
	if body != "" {
		kind = "Content-Type: application/json\r\n"
	}
	for _, h := range headers {
		kind += h + "\r\n"
	}
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: docker\r\n%sContent-Length: %d\r\n\r\n%s", method, path, kind, len(body), body)
	require.NoError(c.t, err)
}

// response reads an answer and its body.
func (c *rawConn) response(method string) (*http.Response, string) {
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	require.NoError(c.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, res.Body.Close())
	return res, string(body)
}

func (c *rawConn) do(method, path, body string, headers ...string) (*http.Response, string) {
	c.request(method, path, body, headers...)
	return c.response(method)
}

// head reads the head of an answer as it is on the wire.
func (c *rawConn) head() string {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := c.in.ReadString('\n')
		require.NoError(c.t, err)
		b.WriteString(line)
	}
	return b.String()
}
