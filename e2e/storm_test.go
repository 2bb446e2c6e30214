package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// gust takes a container through a life with everything that could be left
// behind: networks, ports, names, volumes, execs and attached clients.
func (d *daemon) gust(ctx context.Context, n int, networks ...string) error {
	c := d.client
	created, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: fmt.Sprint("gust", n),
		Config: &container.Config{
			Image: "box", Cmd: []string{"sh", "-c", "echo up; httpd :80 /etc"}, Volumes: map[string]struct{}{"/anonymous": {}},
			ExposedPorts: networktypes.PortSet{port80: {}},
			Healthcheck:  &container.HealthConfig{Test: []string{"CMD", "true"}, Interval: 50 * time.Millisecond},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(networks[n%len(networks)]), PortBindings: networktypes.PortMap{port80: {{}}},
			Binds: []string{fmt.Sprintf("gust%d:/data", n%4)}, AutoRemove: n%5 == 4,
		},
	})
	if err != nil {
		return err
	}
	id := created.ID
	attached, err := c.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	defer attached.Close()
	if _, err := c.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return err
	}
	other := networks[(n+1)%len(networks)]
	if _, err := c.NetworkConnect(ctx, other, client.NetworkConnectOptions{Container: id}); err != nil {
		return err
	}
	exec, err := c.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, Cmd: []string{"get", "http://" + fmt.Sprint("gust", n) + "/hostname"}})
	if err != nil {
		return err
	}
	execution, err := c.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, execution.Reader)
	execution.Close()
	if err != nil {
		return err
	}
	zero := 0
	switch n % 5 {
	case 0:
		_, err = c.NetworkDisconnect(ctx, other, client.NetworkDisconnectOptions{Container: id})
	case 1:
		_, err = c.ContainerRestart(ctx, id, client.ContainerRestartOptions{Timeout: &zero})
	case 2:
		_, err = c.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &zero})
	case 3:
		_, err = c.ContainerKill(ctx, id, client.ContainerKillOptions{})
	case 4: // removes itself
		_, err = c.ContainerKill(ctx, id, client.ContainerKillOptions{})
		if err == nil {
			err = waitFor(time.Minute, func() bool {
				_, err := c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
				return cerrdefs.IsNotFound(err)
			})
		}
		return err
	}
	if err != nil {
		return err
	}
	_, err = c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	return err
}

var port80 = networktypes.MustParsePort("80/tcp")

func TestAStormLeavesNothingBehind(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box")
	networks := []string{d.network(t, client.NetworkCreateOptions{}), "bridge", d.network(t, client.NetworkCreateOptions{Internal: true})}
	storm := func(from, to int) {
		group, ctx := errgroup.WithContext(testContext(t))
		group.SetLimit(6)
		for n := from; n < to; n++ {
			group.Go(func() error {
				if err := d.gust(ctx, n, networks...); err != nil {
					return fmt.Errorf("gust %d: %w", n, err)
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	storm(0, 20) // what is made once and kept
	d.quiet()
	before := d.count(t)
	before.Snapshots = 1 // garbage may not have been collected yet
	for round := range rounds {
		begun := time.Now()
		storm(100*round, 100*round+60)
		t.Logf("60 lives at %.1f a second", 60/time.Since(begun).Seconds())
		d.quiet()
		d.settles(t, before)
		if t.Failed() {
			return
		}
	}
	t.Logf("held before and after: %+v", before)
	volumes, err := d.client.VolumeList(testContext(t), client.VolumeListOptions{})
	require.NoError(t, err)
	assert.Len(t, volumes.Items, 4, "the anonymous ones are gone, the named ones are not")
	d.signal(syscall.SIGTERM)
	assert.Zero(t, d.containerdLeases(t))
	require.NoError(t, d.start())
}

// quiet closes the connections that the client keeps.
func (d *daemon) quiet() {
	d.client.Close() // it goes on with new ones
}

// Networks and volumes come and go too, also while others look at them.
func TestAStormOfNetworksAndVolumesLeavesNothingBehind(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box")
	once := func(ctx context.Context, n int) error {
		name := fmt.Sprint("coming", n)
		created, err := d.client.NetworkCreate(ctx, name, client.NetworkCreateOptions{Labels: map[string]string{"n": name}})
		if err != nil {
			return err
		}
		if _, err := d.client.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name}); err != nil {
			return err
		}
		if _, err := d.client.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", "n="+name)}); err != nil {
			return err
		}
		if n%5 == 0 {
			if err := d.gust(ctx, n, name, "bridge"); err != nil {
				return err
			}
		}
		_, err = d.client.NetworkRemove(ctx, created.ID, client.NetworkRemoveOptions{})
		_, errVolume := d.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		return errors.Join(err, errVolume)
	}
	require.NoError(t, once(testContext(t), 0))
	d.quiet()
	before := d.count(t)
	before.Snapshots = 1
	group, ctx := errgroup.WithContext(testContext(t))
	group.SetLimit(8)
	for n := range 60 {
		group.Go(func() error { return once(ctx, n) })
	}
	require.NoError(t, group.Wait())
	d.quiet()
	d.settles(t, before)
}

func TestOneOfManyRemovesAContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		for _, script := range []string{"true", "sleep 1000"} {
			id := d.create(t, script, network("bridge"))
			d.startContainer(t, id)
			var mu sync.Mutex
			var removed int
			var group errgroup.Group
			for range 12 {
				group.Go(func() error {
					_, err := d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
					switch {
					case err == nil:
						mu.Lock()
						defer mu.Unlock()
						removed++
					case !cerrdefs.IsNotFound(err) && !(cerrdefs.IsConflict(err) && strings.Contains(err.Error(), "is already in progress")):
						return err
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			assert.Equal(t, 1, removed, "one removes it, others hear that it is gone or going")
			_, err := d.client.ContainerInspect(testContext(t), id, client.ContainerInspectOptions{})
			assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
		}
	})
}

// Clients that say nothing, or half of something, neither keep others from
// being served nor stay for ever.
func TestClientsThatSayNothingAreClosed(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	before := d.count(t)
	var silent []net.Conn
	for i := range 100 {
		conn, err := net.Dial("unix", d.socket)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, []string{"", "GET /_ping HTT", "GET /_ping HTTP/1.1\r\nHost: d\r\n"}[i%3])
		require.NoError(t, err)
		silent = append(silent, conn)
	}
	// The bound is half of what the silent ones are given: nobody waits for them.
	served, cancel := context.WithTimeout(testContext(t), 5*time.Second)
	defer cancel()
	_, err := d.client.Ping(served, client.PingOptions{})
	require.NoError(t, err)
	for _, conn := range silent {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err := io.Copy(io.Discard, conn) // an answer of 408, or nothing, and the end
		require.NoError(t, err)
	}
	d.quiet()
	d.settles(t, before)
}

// A client that goes in the middle of a pull or a load leaves no image, and
// what it kept waiting ends.
func TestClientsThatGoInTheMiddleOfAnImageLeaveNothing(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box")
	img, err := boxImage()
	require.NoError(t, err)
	layer, err := random.Layer(4<<20, types.DockerLayer)
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layer)
	require.NoError(t, err)

	// A registry that sends a part of the layer, and then hardly anything: what a
	// pull finds of the one before has not all that there is to come.
	digest, err := layer.Digest()
	require.NoError(t, err)
	whole := loopbackRegistry(t)
	push(t, whole, "slow:1", img)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := http.Get("http://" + whole + r.URL.Path)
		if err != nil {
			return
		}
		defer res.Body.Close()
		for _, header := range []string{"Content-Type", "Content-Length", "Docker-Content-Digest"} {
			w.Header().Set(header, res.Header.Get(header))
		}
		w.WriteHeader(res.StatusCode)
		if !strings.HasSuffix(r.URL.Path, digest.String()) {
			io.Copy(w, res.Body)
			return
		}
		for n := int64(1 << 20); r.Context().Err() == nil; n = 1 << 10 {
			io.CopyN(w, res.Body, n)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	defer slow.Close()
	ref := strings.TrimPrefix(slow.URL, "http://") + "/slow:1"
	leave := func() {
		ctx, cancel := context.WithCancel(testContext(t))
		defer cancel()
		res, err := d.client.ImagePull(ctx, ref, client.ImagePullOptions{})
		require.NoError(t, err)
		for m, err := range res.JSONMessages(ctx) {
			require.NoError(t, err)
			if m.Status == "Downloading" {
				break
			}
		}
		cancel()
		res.Close()

		ctx, cancel = context.WithCancel(testContext(t))
		defer cancel()
		half := io.LimitReader(archive(t, "half:1", img), 3<<20)
		_, err = d.client.ImageLoad(ctx, io.MultiReader(half, leaver{cancel}))
		require.ErrorIs(t, err, context.Canceled)
	}
	leave()
	d.quiet()
	before := d.count(t)
	before.Snapshots = 1 // garbage may not have been collected yet
	for range 5 {
		leave()
	}
	d.quiet()
	d.settles(t, before)
	list, err := d.client.ImageList(testContext(t), client.ImageListOptions{All: true})
	require.NoError(t, err)
	assert.Len(t, list.Items, 1)
}

// leaver is the client that goes when it is read.
type leaver struct{ context.CancelFunc }

func (l leaver) Read([]byte) (int, error) {
	l.CancelFunc()
	return 0, context.Canceled
}
