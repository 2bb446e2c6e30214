package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
)

func TestStatsParameters(t *testing.T) {
	d := startDaemon(t)
	for query, want := range map[string]containers.StatsOptions{
		"": {Stream: true}, "?stream=1": {Stream: true}, "?stream=0": {}, "?stream=false&one-shot=true": {OneShot: true},
	} {
		res, body := d.dial().do("GET", "/containers/web/stats"+query, "")
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "application/json", res.Header.Get("Content-Type"))
		var s container.StatsResponse
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		assert.Equal(t, "/web", s.Name)
		assert.Equal(t, want, d.containers.stats, query)
	}
	res, _ := d.dial().do("GET", "/v1.40/containers/web/stats?one-shot=1", "")
	assert.Equal(t, http.StatusOK, res.StatusCode, "that version does not know it")
	res, body := d.dial().do("GET", "/containers/web/stats?one-shot=1", "")
	assert.Equal(t, http.StatusBadRequest, res.StatusCode)
	assert.Contains(t, body, "cannot have stream=true and one-shot=true")
	res, _ = d.dial().do("GET", "/containers/nosuch/stats", "")
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestOldClientsKnowNoStartInterval(t *testing.T) {
	d := startDaemon(t)
	for version, want := range map[string]time.Duration{"/v1.43": 0, "/v1.44": time.Second, "": time.Second} {
		res, body := d.dial().do("POST", version+"/containers/create", `{"Image":"box","Healthcheck":{"Test":["CMD","a"],"StartInterval":1000000000}}`)
		require.Equal(t, http.StatusCreated, res.StatusCode, body)
		assert.Equal(t, want, d.containers.created.Config.Healthcheck.StartInterval, version)
	}
}
