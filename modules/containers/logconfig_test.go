package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/types"
)

func TestLogOptions(t *testing.T) {
	config := func(driver string, pairs ...string) container.LogConfig {
		c := container.LogConfig{Type: driver, Config: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			c.Config[pairs[i]] = pairs[i+1]
		}
		return c
	}
	for _, tc := range []struct {
		config container.LogConfig
		want   logfile.Options
	}{
		{config(""), logfile.Options{}},
		{config("json-file", "max-size", "10m", "max-file", "3", "compress", "true", "tag", "{{.Name}}", "env-regex", "^A"), logfile.Options{MaxSize: 10 << 20, MaxFiles: 3, Compress: true}},
		{config("local"), logfile.Options{MaxSize: 20 << 20, MaxFiles: 5, Compress: true}},
		{config("local", "max-file", "1", "compress", "false", "max-size", "-1"), logfile.Options{MaxFiles: 1}},
	} {
		got, err := logOptions(tc.config)
		require.NoError(t, err, "%v", tc.config)
		assert.Equal(t, tc.want, got, "%v", tc.config)
	}
	for want, c := range map[string]container.LogConfig{
		"max-file cannot be less than 1":           config("local", "max-file", "0"),
		"max-file cannot be more than 1000":        config("json-file", "max-size", "1m", "max-file", "1000000000"),
		"max-file requires max-size":               config("json-file", "max-file", "2"),
		"compress cannot be true":                  config("json-file", "compress", "true"),
		"invalid value for compress":               config("json-file", "compress", "x"),
		`unknown log opt "labels" for local`:       config("local", "labels", "a"),
		`unknown log opt "syslog-x" for json-file`: config("json-file", "syslog-x", "a"),
		"invalid value for labels-regex":           config("json-file", "labels-regex", "("),
		"log driver none takes no options":         config("none", "max-size", "1m"),
		`log driver "syslog" is not supported`:     config("syslog"),
		"log option mode=non-blocking is not":      config("local", "mode", "non-blocking"),
		"log option tag={{.Name | lower}} is not":  config("json-file", "tag", "{{.Name | lower}}"),
		"log option tag={{.ID is not supported":    config("json-file", "tag", "{{.ID"),
	} {
		_, err := logOptions(c)
		assert.ErrorContains(t, err, want)
		assert.True(t, errdefs.IsInvalidArgument(err) || errdefs.IsNotImplemented(err))
	}
}

func TestLogAttributes(t *testing.T) {
	r := &record{Name: "web", Image: "box", ImageID: "sha256:0123456789abcdef"}
	r.Config.Labels = map[string]string{"a": "1", "team.x": "2", "other": "3"}
	r.Config.Env = []string{"A=4", "B_1=5", "C=6"}
	r.Config.Cmd = []string{"sleep", "1"}
	r.HostConfig.LogConfig.Config = map[string]string{
		"labels": "a,none", "labels-regex": `^team\.`, "env": "A", "env-regex": "^B_", "tag": "{{.Name}}/{{ .ID }}/{{.ImageID}} {{.Command}}",
	}
	assert.Equal(t, map[string]string{
		"a": "1", "team.x": "2", "A": "4", "B_1": "5", "tag": "web/aaaaaaaaaaaa/0123456789ab sleep 1",
	}, logAttrs(strings.Repeat("a", 64), r))
	r.HostConfig.LogConfig.Config = nil
	assert.Nil(t, logAttrs("id", r))
}

func TestTheLocalDriverKeepsLittleAndCanBeRead(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.HostConfig.LogConfig = container.LogConfig{Type: "local", Config: map[string]string{"max-size": "64k", "max-file": "3"}}
	}, "sh", "-c", "dd 300000; echo; echo last")
	assert.Zero(t, f.startAndWait(t, id))
	c, err := f.index.get(id)
	require.NoError(t, err)
	c.log.Wait()
	assert.FileExists(t, c.log.Path()+".1.gz")
	files, err := os.ReadDir(filepath.Dir(c.log.Path()))
	require.NoError(t, err)
	var size int64
	for _, e := range files {
		if strings.HasPrefix(e.Name(), "local.log") {
			info, err := e.Info()
			require.NoError(t, err)
			size += info.Size()
		}
	}
	assert.LessOrEqual(t, size, int64(3*64<<10))
	assert.True(t, strings.HasSuffix(f.logs(t, id, LogsOptions{Tail: -1}).text(1), "\nlast\n"))
	assert.Equal(t, "last\n", f.logs(t, id, LogsOptions{Tail: 1}).text(1))
	f.reopen(t)
	assert.Equal(t, "last\n", f.logs(t, id, LogsOptions{Tail: 1}).text(1))
}

func FuzzLogTag(f *testing.F) {
	f.Add("{{.Name}}/{{.ID}}")
	f.Add("{{}}{{")
	f.Fuzz(func(t *testing.T, template string) {
		out, err := logTag(template, func(string) string { return "" })
		if err == nil {
			assert.NotContains(t, out, "{{.")
		}
	})
}
