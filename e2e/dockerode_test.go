package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

// TestClientDockerode runs the tests of a JavaScript project.
func TestClientDockerode(t *testing.T) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed (Debian: nodejs, npm)")
		}
	}
	dir := filepath.Join(t.TempDir(), "dockerode")
	require.NoError(t, os.CopyFS(dir, os.DirFS("clients/dockerode")))
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	out, err := combinedOutputOutside(install)
	require.NoError(t, err, "%s", out)

	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	// To see progress, a pull needs a layer that is not there yet.
	img, err := boxImage()
	require.NoError(t, err)
	layer, err := random.Layer(1<<20, types.DockerLayer)
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layer)
	require.NoError(t, err)
	ref := push(t, loopbackRegistry(t), "library/more:1", img)

	d.passes(t, dir, []string{"PULL=" + ref}, "node", "--test")
}
