package api

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithTheDockerCommand(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Skip("there is no docker command")
	}
	d := newDaemon(t)
	d.containers.list = []container.Summary{{ID: strings.Repeat("a", 64), Names: []string{"/web"}, Image: "busybox", Command: "sh", Status: "Up 2 seconds"}}
	d.containers.inspected = &container.InspectResponse{ID: "web", State: &container.State{}, Config: &container.Config{}}
	d.start() // only now: another process's requests are in no order with what is above
	for args, want := range map[string]string{
		"version":                "API version:      1.44 (minimum version 1.24)",
		"info":                   "Server Version: dev",
		"ps -a":                  "Up 2 seconds",
		"images":                 "REPOSITORY",
		"network ls":             "mine",
		"volume ls":              "DRIVER",
		"plugin ls":              "ENABLED",
		"system df":              "Build Cache",
		"network prune -f":       "mine",
		"volume create v":        "v",
		"container prune -f":     "Total reclaimed space: 5B",
		"system prune -f":        "Total reclaimed space: 5B",
		"stop -t 1 web":          "web",
		"pause web":              "web",
		"rename web x":           "",
		"top web":                "PID",
		"exec -d web true":       "",
		"update --memory 5m web": "web",
		"rm -f web":              "web",
	} {
		command := exec.Command(docker, append([]string{"-H", "unix://" + d.socket}, strings.Fields(args)...)...)
		command.Env = []string{"DOCKER_CONFIG=" + t.TempDir(), "HOME=" + t.TempDir()}
		out, err := command.CombinedOutput()
		assert.NoError(t, err, "%s: %s", args, out)
		assert.Contains(t, string(out), want, args)
	}
	refused := exec.Command(docker, "-H", "unix://"+d.socket, "build", "-q", "-")
	refused.Env = []string{"DOCKER_CONFIG=" + t.TempDir()}
	out, err := refused.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "Error response from daemon: building images is not supported")
}
