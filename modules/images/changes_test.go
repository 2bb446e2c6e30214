package images

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func inherited() dockerspec.DockerOCIImageConfig {
	return dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{
		Env: []string{"PATH=/bin", "A=old"}, Cmd: []string{"sh"}, WorkingDir: "/srv", Labels: map[string]string{"l": "0"},
		ExposedPorts: map[string]struct{}{}, Volumes: map[string]struct{}{},
	}}
}

func TestChanges(t *testing.T) {
	for change, want := range map[string]func(c *dockerspec.DockerOCIImageConfig){
		"":                     func(*dockerspec.DockerOCIImageConfig) {},
		"CMD echo hi":          func(c *dockerspec.DockerOCIImageConfig) { c.Cmd = []string{"/bin/sh", "-c", "echo hi"} },
		`cmd ["echo", "hi"]`:   func(c *dockerspec.DockerOCIImageConfig) { c.Cmd = []string{"echo", "hi"} },
		`ENTRYPOINT ["/init"]`: func(c *dockerspec.DockerOCIImageConfig) { c.Entrypoint, c.Cmd = []string{"/init"}, nil },
		`ENV A=new B="x y"`:    func(c *dockerspec.DockerOCIImageConfig) { c.Env = []string{"PATH=/bin", "A=new", "B=x y"} },
		"ENV PATH=$PATH:/sbin": func(c *dockerspec.DockerOCIImageConfig) { c.Env = []string{"A=old", "PATH=/bin:/sbin"} },
		"ENV B c d":            func(c *dockerspec.DockerOCIImageConfig) { c.Env = []string{"PATH=/bin", "A=old", "B=c d"} },
		"EXPOSE 80 90-91/udp":  func(c *dockerspec.DockerOCIImageConfig) { c.ExposedPorts = ports("80/tcp", "90/udp", "91/udp") },
		"LABEL l=1 m=$A":       func(c *dockerspec.DockerOCIImageConfig) { c.Labels = map[string]string{"l": "1", "m": "old"} },
		"ONBUILD RUN make":     func(c *dockerspec.DockerOCIImageConfig) { c.OnBuild = []string{"RUN make"} },
		"STOPSIGNAL SIGINT":    func(c *dockerspec.DockerOCIImageConfig) { c.StopSignal = "SIGINT" },
		"USER app:app":         func(c *dockerspec.DockerOCIImageConfig) { c.User = "app:app" },
		`VOLUME ["/a", "/b"]`:  func(c *dockerspec.DockerOCIImageConfig) { c.Volumes = ports("/a", "/b") },
		"WORKDIR sub":          func(c *dockerspec.DockerOCIImageConfig) { c.WorkingDir = "/srv/sub" },
		"WORKDIR /etc/../var":  func(c *dockerspec.DockerOCIImageConfig) { c.WorkingDir = "/var" },
		"HEALTHCHECK NONE": func(c *dockerspec.DockerOCIImageConfig) {
			c.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"NONE"}}
		},
		"HEALTHCHECK --retries=2 --interval=3s CMD ok": func(c *dockerspec.DockerOCIImageConfig) {
			c.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD-SHELL", "ok"}, Retries: 2, Interval: 3 * time.Second}
		},
		"CMD one\nENTRYPOINT [\"/init\"]": func(c *dockerspec.DockerOCIImageConfig) {
			c.Entrypoint, c.Cmd = []string{"/init"}, []string{"/bin/sh", "-c", "one"}
		},
	} {
		got, expected := inherited(), inherited()
		want(&expected)
		require.NoError(t, applyChanges(&got, strings.Split(change, "\n")), change)
		assert.Equal(t, expected, got, change)
	}
}

func ports(all ...string) map[string]struct{} {
	set := map[string]struct{}{}
	for _, p := range all {
		set[p] = struct{}{}
	}
	return set
}

func TestChangesThatCannotBe(t *testing.T) {
	for change, text := range map[string]string{
		"RUN x":                             "run is not a valid change command",
		"FROM x":                            "from is not a valid change command",
		"nonsense":                          "nonsense is not a valid change command",
		"ENV":                               "ENV requires at least one argument",
		"EXPOSE x":                          "EXPOSE x",
		"EXPOSE 99999":                      "EXPOSE 99999",
		"STOPSIGNAL FOO":                    "FOO",
		`VOLUME [""]`:                       "empty",
		"LABEL":                             "LABEL requires",
		"ENV " + strings.Repeat("a", 2<<20): "bytes",
	} {
		c := inherited()
		err := applyChanges(&c, []string{change})
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, change)
		assert.ErrorContains(t, err, text)
	}
}

func FuzzChanges(f *testing.F) {
	for _, s := range []string{"CMD x", "ENV A=b ${A:-x}", "EXPOSE 1-65535", "HEALTHCHECK --interval=1s CMD x", "# escape=`\nENV A=`", "LABEL \"a b\"='c'", "ONBUILD ONBUILD x", "VOLUME [\"", "CMD <<EOF\nx\nEOF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, change string) {
		c := inherited()
		if err := applyChanges(&c, []string{change}); err != nil && !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", change, err)
		}
		if c.WorkingDir != "" && !strings.HasPrefix(c.WorkingDir, "/") {
			t.Errorf("%q: the working directory is %q", change, c.WorkingDir)
		}
	})
}
