package api

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (d *daemon) get(path string) map[string]any {
	res, body := d.dial().do("GET", path, "")
	require.Equal(d.t, 200, res.StatusCode, body)
	var m map[string]any
	require.NoError(d.t, json.Unmarshal([]byte(body), &m))
	return m
}

func TestInspectHasTheFieldsOfItsVersion(t *testing.T) {
	d := startDaemon(t)
	d.containers.inspected = &container.InspectResponse{
		ID: "abc", Driver: "overlayfs", Config: &container.Config{Image: "busybox"},
		HostConfig: &container.HostConfig{NetworkMode: "bridge", Resources: container.Resources{Memory: 5}},
		NetworkSettings: &container.NetworkSettings{SandboxID: "s", Networks: map[string]*network.EndpointSettings{"bridge": {
			IPAddress: netip.MustParseAddr("172.17.0.2"), IPPrefixLen: 16, Gateway: netip.MustParseAddr("172.17.0.1"), MacAddress: network.HardwareAddr{2, 0, 0, 0, 0, 1},
		}}},
	}
	c := d.get("/v1.44/containers/web/json")
	settings := c["NetworkSettings"].(map[string]any)
	assert.Equal(t, "172.17.0.2", settings["IPAddress"])
	assert.EqualValues(t, 16, settings["IPPrefixLen"])
	assert.Equal(t, "172.17.0.1", settings["Gateway"])
	assert.Equal(t, "02:00:00:00:00:01", settings["MacAddress"])
	assert.Equal(t, "", settings["Bridge"])
	assert.Equal(t, "", settings["GlobalIPv6Address"])
	assert.Equal(t, "s", settings["SandboxID"])
	assert.Contains(t, settings["Networks"], "bridge")
	assert.Equal(t, "02:00:00:00:00:01", c["Config"].(map[string]any)["MacAddress"])
	assert.Equal(t, "busybox", c["Config"].(map[string]any)["Image"])
	assert.Equal(t, "overlayfs", c["GraphDriver"].(map[string]any)["Name"])
	assert.Equal(t, "abc", c["Id"])
	assert.NotContains(t, c["HostConfig"], "KernelMemory")

	c = d.get("/v1.41/containers/web/json")
	assert.EqualValues(t, 0, c["HostConfig"].(map[string]any)["KernelMemory"])
	assert.EqualValues(t, 5, c["HostConfig"].(map[string]any)["Memory"])
}

func TestAliasesHoldTheShortIdAndTheHostname(t *testing.T) {
	d := startDaemon(t)
	d.containers.inspected = &container.InspectResponse{
		ID: "0123456789abcdef", Config: &container.Config{Hostname: "h"}, HostConfig: &container.HostConfig{NetworkMode: "mine"},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{"mine": {Aliases: []string{"db"}}, "bridge": {}}},
	}
	networks := d.get("/v1.44/containers/web/json")["NetworkSettings"].(map[string]any)["Networks"].(map[string]any)
	assert.Equal(t, []any{"db", "0123456789ab", "h"}, networks["mine"].(map[string]any)["Aliases"])
	assert.Empty(t, networks["bridge"].(map[string]any)["Aliases"])
	assert.Equal(t, []string{"db"}, d.containers.inspected.NetworkSettings.Networks["mine"].Aliases, "what the backend has is not changed")
}

func TestInspectWithoutParts(t *testing.T) {
	d := startDaemon(t)
	d.containers.inspected = &container.InspectResponse{ID: "abc"}
	assert.Equal(t, "abc", d.get("/v1.41/containers/web/json")["Id"])
}

func TestImagesHaveTheFieldsOfTheirVersion(t *testing.T) {
	d := startDaemon(t)
	d.images.list = []image.Summary{{ID: "sha256:1", Size: 9}}
	for version, want := range map[string]any{"v1.44": nil, "v1.43": 9., "v1.41": 9.} {
		_, body := d.dial().do("GET", "/"+version+"/images/json", "")
		var all []map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &all))
		assert.Equal(t, want, all[0]["VirtualSize"], version)
		assert.Equal(t, version == "v1.41", all[0]["RepoTags"] != nil)
	}
	assert.NotContains(t, d.get("/v1.44/images/a/json"), "VirtualSize")
	assert.EqualValues(t, 7, d.get("/v1.43/images/a/json")["VirtualSize"])
}

func TestInfoHasTheFieldsOfItsVersion(t *testing.T) {
	info := startDaemon(t).get("/info")
	assert.Equal(t, map[string]any{"ID": "1.5.2", "Expected": "1.5.2"}, info["RuncCommit"])
	assert.Equal(t, false, info["BridgeNfIp6tables"])
	assert.EqualValues(t, 6, info["Containers"])
	assert.NotEmpty(t, info["ID"])
	assert.NotEmpty(t, info["OperatingSystem"])
	assert.NotZero(t, info["MemTotal"])
	assert.Contains(t, info["SecurityOptions"], "name=seccomp,profile=builtin")
}
