package api

import (
	"context"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
)

func (f *fakeContainers) Commit(_ context.Context, name string, o containers.CommitOptions) (string, error) {
	f.committed = o
	return "sha256:1", f.find(name)
}

func TestCommit(t *testing.T) {
	d := startDaemon(t)
	made, err := d.client().ContainerCommit(t.Context(), "web", client.ContainerCommitOptions{
		Reference: "a/b:c", Comment: "why", Author: "me", Changes: []string{"CMD x", "ENV A=b"}, Config: &container.Config{User: "u"},
	})
	require.NoError(t, err)
	assert.Equal(t, "sha256:1", made.ID)
	o := d.containers.committed
	assert.Equal(t, "docker.io/a/b:c", o.Target.String())
	assert.Equal(t, []string{"CMD x", "ENV A=b"}, o.Changes)
	assert.Equal(t, "u", o.Config.User)
	assert.True(t, o.Pause, "unless asked not to")

	res, body := d.dial().do("POST", "/v1.44/commit?container=web&pause=0&author=&comment=", "null")
	assert.Equal(t, 201, res.StatusCode, body)
	assert.Equal(t, `{"Id":"sha256:1"}`+"\n", body)
	assert.Equal(t, containers.CommitOptions{}, d.containers.committed)
	res, _ = d.dial().do("POST", "/commit?container=web", "")
	assert.Equal(t, 201, res.StatusCode, "without a body")
	for path, status := range map[string]int{"container=nosuch": 404, "container=web&repo=UP": 400, "container=web&repo=a&tag=/": 400} {
		res, _ := d.dial().do("POST", "/commit?"+path, "{}")
		assert.Equal(t, status, res.StatusCode, path)
	}
	res, _ = d.dial().do("POST", "/commit?container=web", "{")
	assert.Equal(t, 400, res.StatusCode)
}
