package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// ask sends a request over the socket and returns the answer.
func (d *daemon) ask(method, path, body string) (status int, answer string) {
	d.t.Helper()
	dial := d.client().Dialer()
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://daemon"+path, strings.NewReader(body))
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := web.Do(req)
	require.NoError(d.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(d.t, err)
	return res.StatusCode, string(text)
}

func TestInspectTellsWhatPluginsDid(t *testing.T) {
	d := startDaemon(t)
	d.containers.inspected = &container.InspectResponse{ID: "abc", Name: "/web"}
	inspect := func() map[string]any {
		res, err := d.client().ContainerInspect(t.Context(), "web", client.ContainerInspectOptions{})
		require.NoError(t, err)
		var all map[string]any
		require.NoError(t, json.Unmarshal(res.Raw, &all))
		return all
	}
	d.containers.explained = new(explain.Explanation)
	assert.NotContains(t, inspect(), "Pouchfx", "nothing to tell")
	d.containers.explained = &explain.Explanation{Create: []registry.Change{{Plugin: "limits", Hook: "PreCreate"}}}
	assert.Equal(t, "limits", inspect()["Pouchfx"].(map[string]any)["Explain"].(map[string]any)["Create"].([]any)[0].(map[string]any)["Plugin"])
	d.containers.unexplained = errors.New("of another version")
	assert.Equal(t, map[string]any{"Error": "of another version"}, inspect()["Pouchfx"], "the rest is shown")
}

func TestExplainFindsContainersOfDockerAndOfPods(t *testing.T) {
	d := startDaemon(t)
	d.containers.explained = &explain.Explanation{Create: []registry.Change{{Plugin: "of docker"}}}
	for name, want := range map[string]string{"web": "of docker", "beef": "of pods"} {
		status, answer := d.ask(http.MethodGet, "/pouchfx/explain/"+name, "")
		assert.Equal(t, http.StatusOK, status, answer)
		assert.Contains(t, answer, want)
	}
	status, answer := d.ask(http.MethodGet, "/pouchfx/explain/nosuch", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, answer, "No such container: nosuch")
}

func TestADryRunIsAskedForByAQueryParameter(t *testing.T) {
	d := startDaemon(t)
	status, answer := d.ask(http.MethodPost, "/containers/create?dryRun=1&name=web", `{"Image":"box"}`)
	assert.Equal(t, http.StatusOK, status, answer)
	assert.Contains(t, answer, `"Image":"box"`)
	assert.Equal(t, "web", d.containers.created.Name)
	status, answer = d.ask(http.MethodPost, "/containers/create?dryRun=0", `{"Image":"box"}`)
	assert.Equal(t, http.StatusCreated, status, answer)
}
