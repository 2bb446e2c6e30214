package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestCreateDecodesAsDockerDoes(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		`{"Image":"busybox"}`:                                    {201, `{"Id":"abc","Warnings":[]}`},
		`{"image":"busybox","Nonsense":{"x":[1]}}`:               {201, ""},
		`{"Image":"busybox","HostConfig":null}`:                  {201, ""},
		` {"Image":"busybox"} ` + "\n":                           {201, ""},
		`{"NetworkingConfig":{"EndpointsConfig":{"host":null}}}`: {201, ""},
		``:                               {400, "config cannot be empty"},
		`null`:                           {400, "config cannot be empty"},
		`{`:                              {400, "invalid JSON"},
		`{"Image":"busybox"}{}`:          {400, "unexpected content after JSON"},
		`{"Image":"busybox"}x`:           {400, "unexpected content after JSON"},
		`[]`:                             {400, "invalid JSON: the body: cannot use array as object"},
		`{"Image":5}`:                    {400, "invalid JSON: Image: cannot use number as string"},
		`{"Cmd":"ls"}`:                   {400, "invalid JSON: Cmd: cannot use string as array"},
		`{"HostConfig":{"Memory":"1g"}}`: {400, "invalid JSON: HostConfig.Memory: cannot use string as number (int64)"},
		`{"HostConfig":{"LogConfig":{"Config":{"a":1}}}}`: {400, "invalid JSON: HostConfig.LogConfig.Config: cannot use number as string"},
		`{"HostConfig":{"Dns":[5]}}`:                      {400, "invalid JSON: HostConfig.Dns: cannot use number as string"},
		`{"HostConfig":{"Dns":["nope"]}}`:                 {400, "nope"},
		`{"Healthcheck":{"Test":true}}`:                   {400, "invalid JSON: Healthcheck.Test: cannot use bool as array"},
		`{"SpecificID":{}}`:                               {400, "invalid JSON: SpecificID: cannot use object as string"},
	} {
		d.containers.created = nil
		res, answer := conn.do("POST", "/v1.44/containers/create?name=web&Image=ignored", body)
		assert.Equal(t, want.status, res.StatusCode, body)
		assert.Contains(t, answer, want.text, body)
		if want.status != 201 {
			assert.Nil(t, d.containers.created, body)
			continue
		}
		require.NotNil(t, d.containers.created, body)
		assert.Equal(t, "web", d.containers.created.Name)
		assert.NotNil(t, d.containers.created.Config.HostConfig)
		assert.NotNil(t, d.containers.created.Config.NetworkingConfig)
		assert.Equal(t, "web", plugins.RequestFrom(d.containers.request).Name)
	}
	res, _ := conn.do("POST", "/containers/create?platform=no/such/os/at/all", `{"Image":"busybox"}`)
	assert.Equal(t, 400, res.StatusCode)
}

func TestOnlyJSONIsTakenForJSON(t *testing.T) {
	d := startDaemon(t)
	for kind, status := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "text/plain": 400, "application/x-www-form-urlencoded": 400, "": 400, ";": 400,
	} {
		r, err := http.NewRequest("POST", "http://d/volumes/create", strings.NewReader(`{"Name":"v"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", kind)
		res, err := d.http().Do(r)
		require.NoError(t, err)
		assert.Equal(t, status, res.StatusCode, kind)
		require.NoError(t, res.Body.Close())
	}
}

func TestQueryParameters(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	seven, minus := 7, -1
	for path, want := range map[string]*int{"?t=7": &seven, "?t=-1": &minus, "": nil, "?t=": nil} {
		res, _ := conn.do("POST", "/containers/web/stop"+path, "")
		assert.Equal(t, 204, res.StatusCode)
		assert.Equal(t, want, d.containers.stopped, path)
	}
	for path, status := range map[string]int{
		"/containers/web/stop?t=x": 400, "/containers/web/stop?t=1%zz": 400, "/containers/web/resize?h=1&w=-2": 400, "/containers/web/resize?h=1": 400,
		"/containers/web/resize?h=24&w=80": 200, "/containers/web/rename?name=x": 204, "/containers/web/kill": 204, "/containers/nosuch/kill": 404,
		"/containers/web/pause": 204, "/containers/web/unpause": 204, "/containers/web/restart?t=1": 204,
	} {
		res, body := conn.do("POST", path, "")
		assert.Equal(t, status, res.StatusCode, "%s: %s", path, body)
	}
	_, body := conn.do("POST", "/containers/nosuch/kill", "")
	assert.Contains(t, body, "cannot kill container: nosuch: No such container: nosuch")

	for text, want := range map[string]bool{"": false, "all": false, "all=0": false, "all=False": false, "all=none": false, "all=no": false, "all=1": true, "all=x": true} {
		res, _ := conn.do("GET", "/containers/json?"+text, "")
		assert.Equal(t, 200, res.StatusCode)
		assert.Equal(t, want, d.containers.listed.All, text)
	}
	_, body = conn.do("GET", `/containers/json?filters={"label":["a"]}&limit=3&size=1&before=x`, "")
	assert.Equal(t, "[]\n", body)
	assert.Equal(t, containers.ListOptions{Limit: 3, Size: true, Filters: filters.Args{"label": {"a": true}, "before": {"x": true}}}, d.containers.listed)
	for _, bad := range []string{"filters=x", "limit=x", `filters={"label":5}`} {
		res, _ := conn.do("GET", "/containers/json?"+bad, "")
		assert.Equal(t, 400, res.StatusCode, bad)
	}
}

func TestContainersWithDockersClient(t *testing.T) {
	d := startDaemon(t)
	d.containers.list = []container.Summary{{ID: "abc", Names: []string{"/web"}}}
	d.containers.inspected = &container.InspectResponse{ID: "abc", Config: &container.Config{}, HostConfig: &container.HostConfig{}}
	c, ctx := d.client(), t.Context()
	made, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: "web", Config: &container.Config{Image: "busybox", Cmd: []string{"ls"}}, HostConfig: &container.HostConfig{Resources: container.Resources{Memory: 5}}})
	require.NoError(t, err)
	assert.Equal(t, "abc", made.ID)
	assert.EqualValues(t, 5, d.containers.created.Config.HostConfig.Memory)
	assert.Equal(t, []string{"ls"}, d.containers.created.Config.Cmd)
	_, err = c.ContainerStart(ctx, "web", client.ContainerStartOptions{})
	require.NoError(t, err)
	all, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	require.NoError(t, err)
	assert.Len(t, all.Items, 1)
	_, err = c.ContainerInspect(ctx, "web", client.ContainerInspectOptions{})
	require.NoError(t, err)
	_, err = c.ContainerInspect(ctx, "nosuch", client.ContainerInspectOptions{})
	assert.True(t, errdefs.IsNotFound(err))
	_, err = c.ContainerTop(ctx, "web", client.ContainerTopOptions{})
	require.NoError(t, err)
	_, err = c.ContainerUpdate(ctx, "web", client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 7}})
	require.NoError(t, err)
	var updated types.UpdateConfig
	require.NoError(t, json.Unmarshal([]byte(d.containers.updated), &updated))
	assert.EqualValues(t, 7, updated.Memory)
	_, err = c.ContainerRemove(ctx, "web", client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	_, err = c.ContainerRemove(ctx, "web", client.ContainerRemoveOptions{RemoveLinks: true, RemoveVolumes: true})
	require.NoError(t, err)
	assert.Equal(t, containers.RemoveOptions{Link: true, Volumes: true}, d.containers.removed)
	_, err = c.ContainerPrune(ctx, client.ContainerPruneOptions{})
	require.NoError(t, err)
}

func TestVolumesWithDockersClient(t *testing.T) {
	d := startDaemon(t)
	c, ctx := d.client(), t.Context()
	made, err := c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "v"})
	require.NoError(t, err)
	assert.Equal(t, "v", made.Volume.Name)
	_, err = c.VolumeList(ctx, client.VolumeListOptions{})
	require.NoError(t, err)
	_, err = c.VolumeInspect(ctx, "v", client.VolumeInspectOptions{})
	require.NoError(t, err)
	_, err = c.VolumePrune(ctx, client.VolumePruneOptions{})
	require.NoError(t, err)
	assert.False(t, d.volumes.pruned.Has("all"))
	d.dial().do("POST", "/v1.41/volumes/prune", "")
	assert.True(t, d.volumes.pruned.Has("all"), "before 1.42 named volumes went too")
	d.volumes.err = errdefs.ErrConflict.WithMessage("volume is in use - [abc]")
	_, err = c.VolumeRemove(ctx, "v", client.VolumeRemoveOptions{})
	assert.True(t, errdefs.IsConflict(err))
	assert.ErrorContains(t, err, "in use - [abc]")
}

func TestOwnEndpoints(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	_, body := conn.do("GET", "/pouchfx/plugins", "")
	assert.Contains(t, body, `"name":"one"`)
	_, body = conn.do("GET", "/pouchfx/timeline", "")
	assert.Equal(t, "[]\n", body)
	_, body = conn.do("GET", "/pouchfx/health", "")
	assert.Equal(t, `{"status":"ready"}`+"\n", body)
	_, body = conn.do("GET", "/pouchfx/metrics", "")
	assert.Contains(t, body, `pouchfx_plugin_status{plugin="one",status="running"} 1`)
	assert.Contains(t, body, `pouchfx_api_requests_total{code="200",method="GET",route="/pouchfx/health"} 1`)
	for path, status := range map[string]int{"/swarm": 503, "/services": 503, "/nodes/x": 503, "/plugins": 200, "/plugins/x/json": 404, "/system/df": 200, "/system/df?type=x": 400} {
		res, _ := conn.do("GET", path, "")
		assert.Equal(t, status, res.StatusCode, path)
	}
}

func TestDiskUsageCountsUsers(t *testing.T) {
	d := startDaemon(t)
	d.images.list = []image.Summary{{ID: "sha256:a", Size: 9, Containers: -1}, {ID: "sha256:b", Containers: -1}}
	d.containers.list = []container.Summary{{ID: "one", ImageID: "sha256:a"}, {ID: "two", ImageID: "sha256:a"}}
	_, body := d.dial().do("GET", "/v1.44/system/df", "")
	var usage diskUsage
	require.NoError(t, json.Unmarshal([]byte(body), &usage))
	assert.EqualValues(t, 2, usage.Images[0].Containers)
	assert.Zero(t, usage.Images[1].Containers)
	assert.Equal(t, &volume.UsageData{Size: 7, RefCount: 1}, usage.Volumes[0].UsageData)
}

func FuzzDecodeCreate(f *testing.F) {
	f.Add([]byte(`{"Image":"busybox","Cmd":["ls"],"HostConfig":{"Memory":5,"PortBindings":{"80/tcp":[{"HostIp":"::1","HostPort":"80"}]}}}`))
	f.Add([]byte(`{"HostConfig":{"Memory":"x"}}`))
	f.Add([]byte(`null x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/containers/create", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		config, _, err := readCreate(r.Context(), httptest.NewRecorder(), r)
		if err != nil {
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
			return
		}
		assert.NotNil(t, config.HostConfig)
		assert.NotNil(t, config.NetworkingConfig)
	})
}

func FuzzDecodeQuery(f *testing.F) {
	f.Add("since=10m&until=5&filters={}&all=1&t=3&h=2")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = text
		q := query(r)
		q.time("since")
		q.time("until")
		q.filters()
		q.flag("all")
		q.optional("t")
		q.size("h")
		if q.err != nil {
			assert.True(t, errdefs.IsInvalidArgument(q.err), "%v", q.err)
		}
	})
}

func FuzzDecodeReference(f *testing.F) {
	f.Add("docker.io/library/alpine", "latest")
	f.Add("127.0.0.1:5000/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "")
	f.Add("a", "sha256:0")
	f.Fuzz(func(t *testing.T, name, tag string) {
		if ref, err := pullReference(name, tag); err == nil {
			assert.NotEmpty(t, ref.Name())
		} else {
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
		}
		if target, err := targetReference(name, tag); err == nil {
			assert.NotEmpty(t, target.Tag())
		} else {
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
		}
	})
}
