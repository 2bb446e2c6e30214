//go:build !minimal && !kube

package daemon

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANewPluginIsWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	assert.Equal(t, exitFailure, run(targets, []string{"plugin", "new", "quota", "--kinds", "container,volumes"}, &out, &errs))
	assert.Equal(t, "demo-daemon: unknown kind \"volumes\": there are api, container, cri, daemon, image, volume\n", errs.String())
	assert.Zero(t, run(targets, []string{"plugin", "new", "quota", "--kinds", "container,volume", "--tidy=false"}, &out, &errs))
	assert.Contains(t, out.String(), "cd quota")
	assert.FileExists(t, "quota/plugin.go")
}
