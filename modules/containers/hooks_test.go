package containers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// recorder is a plugin that changes what it can and notes when it was called.
type recorder struct {
	plugins.ContainerBase
	fail  string // name of the hook that fails
	dir   string // a directory of the host
	calls []string
	asked []plugins.Request // of PreStart, PreUpdate, PostUpdate
	root  string
	env   []string
}

func (r *recorder) called(hook string) error {
	r.calls = append(r.calls, hook)
	if r.fail == hook {
		return errors.New("no")
	}
	return nil
}

func (r *recorder) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	c.Env = append(c.Env, "CREATED=as "+plugins.RequestFrom(ctx).Name)
	return r.called("PreCreate")
}

func (r *recorder) PreStart(ctx context.Context, v interface{}) ([]int, [][]string, error) {
	r.asked = append(r.asked, plugins.RequestFrom(ctx))
	c := v.(*types.Container)
	c.Config.Env = append(c.Config.Env, "STARTED=yes")
	c.Annotations["org.example"] = "seen"
	c.Mounts = append(c.Mounts, types.MountPoint{Type: mount.TypeBind, Source: r.dir, Destination: "/from-host", RW: true})
	hook := func(name string) []string {
		return []string{"/bin/sh", "sh", "-c", "ip link show lo 2>/dev/null | grep -q UP; cat > " + filepath.Join(r.dir, name) + "; env > " + filepath.Join(r.dir, name+".env")}
	}
	return []int{-5, 5}, [][]string{hook("after"), hook("before")}, r.called("PreStart")
}

func (r *recorder) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	r.asked = append(r.asked, plugins.RequestFrom(ctx))
	body.Close()
	return io.NopCloser(strings.NewReader(`{"Env":["UPDATED=yes"]}`)), r.called("PreUpdate")
}

func (r *recorder) PostUpdate(ctx context.Context, root string, env []string) error {
	r.asked = append(r.asked, plugins.RequestFrom(ctx))
	r.root, r.env = root, env
	return errors.Join(r.called("PostUpdate"), os.WriteFile(filepath.Join(root, "updated"), []byte("by hook\n"), 0o644))
}

func TestHooksOfContainers(t *testing.T) {
	r := &recorder{dir: t.TempDir()}
	f := newFixture(t, r)
	ctx := t.Context()
	id := f.create(t, "hooked", func(c *types.ContainerCreateConfig) { c.Labels = map[string]string{"tier": "front"} }, "sh", "-c", "echo $CREATED $STARTED $UPDATED; cat /updated; ls /from-host")

	_, err := f.Update(ctx, id, io.NopCloser(strings.NewReader(`{}`)))
	require.NoError(t, err, "of a stopped container")
	assert.Contains(t, r.env, "UPDATED=yes")
	assert.Contains(t, r.env, "FROM_IMAGE=yes")
	_, err = os.Stat(r.root)
	require.ErrorIs(t, err, os.ErrNotExist, "it was mounted for the hook only")

	for range 2 { // changes do not pile up
		assert.Zero(t, f.startAndWait(t, id))
	}
	assert.Equal(t, []string{"PreCreate", "PreUpdate", "PostUpdate", "PreStart", "PreStart"}, r.calls)
	for _, asked := range r.asked {
		assert.Equal(t, plugins.Request{ID: id, Name: "hooked", Image: "box", Labels: map[string]string{"tier": "front", "org.example.box": "1"}}, asked, "the image's labels, too")
	}
	out := f.logs(t, id, LogsOptions{Tail: -1})
	assert.Contains(t, out.text(1), "as hooked yes yes\nby hook\nafter\n", out.text(2))
	assert.NotContains(t, f.inspect(t, id).Config.Env, "STARTED=yes")
	assert.Empty(t, f.inspect(t, id).Mounts)

	loaded, err := f.engine.Client().LoadContainer(ctx, id)
	require.NoError(t, err)
	spec, err := loaded.Spec(ctx)
	require.NoError(t, err)
	assert.Equal(t, "seen", spec.Annotations["org.example"])
	hooks := spec.Hooks.CreateRuntime
	require.Len(t, hooks, 2)
	assert.Contains(t, hooks[0].Args[2], "before")
	assert.Contains(t, hooks[1].Args[2], "after")
	var state specs.State
	text, err := os.ReadFile(filepath.Join(r.dir, "after"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &state))
	assert.Equal(t, id, state.ID)
	env, err := os.ReadFile(filepath.Join(r.dir, "after.env"))
	require.NoError(t, err)
	assert.NotContains(t, string(env), "HOME=", "the daemon's environment does not leak into hooks")

	t.Run("a failing hook leaves nothing", func(t *testing.T) {
		r.fail = "PreStart"
		require.ErrorContains(t, f.Service.Start(ctx, id), "no")
		assert.Equal(t, statusExited, f.inspect(t, id).State.Status)
		r.fail = "PreUpdate"
		_, err := f.Update(ctx, id, io.NopCloser(strings.NewReader(`{}`)))
		require.ErrorContains(t, err, "no")
		r.fail = "PostUpdate"
		_, err = f.Update(ctx, id, io.NopCloser(strings.NewReader(`{}`)))
		require.ErrorContains(t, err, "the container was updated, but")
		r.fail = ""
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
		r.fail = "PreCreate"
		_, err = f.tryCreate(t, "hooked", nil, "true")
		require.ErrorContains(t, err, "no")
		f.empty(t)
	})
	t.Run("a running container's root is where the hook looks", func(t *testing.T) {
		r.fail = ""
		id := f.create(t, "", nil, "sleep", "300")
		require.NoError(t, f.Service.Start(ctx, id))
		_, err := f.Update(ctx, id, io.NopCloser(strings.NewReader(`{}`)))
		require.NoError(t, err)
		code, out := f.exec(t, id, "cat", "/updated")
		assert.Zero(t, code)
		assert.Equal(t, "by hook\n", out)
		assert.Equal(t, f.baseFS(id), r.root)
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{Force: true}))
	})
}

func TestAFailedCreateLeavesNothing(t *testing.T) {
	f := newFixture(t, nil)
	for name, change := range map[string]func(*types.ContainerCreateConfig){
		"no image": func(c *types.ContainerCreateConfig) { c.Image = "nosuch" },
		"bad volume": func(c *types.ContainerCreateConfig) {
			c.HostConfig.Binds = []string{"good:/a", "other:/b"}
			c.HostConfig.VolumeDriver = "nosuch"
		},
		"bad snapshotter": func(c *types.ContainerCreateConfig) { c.Snapshotter = "nosuch" },
		"devices":         func(c *types.ContainerCreateConfig) { c.HostConfig.DeviceRequests = []container.DeviceRequest{{}} },
		"network": func(c *types.ContainerCreateConfig) {
			c.NetworkingConfig = &types.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"mine": {}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.tryCreate(t, "", change, "true")
			require.Error(t, err)
			t.Log(err)
			f.empty(t)
			list, err := f.volumes.List(t.Context(), nil)
			require.NoError(t, err)
			assert.Empty(t, list.Volumes)
		})
	}
}
