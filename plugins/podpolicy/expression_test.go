package podpolicy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	containertypes "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/podpolicy"
	"github.com/pouchfx/pouchfx/types"
)

func mountOf(source string) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: source, Target: "/in", BindOptions: &mount.BindOptions{Propagation: mount.PropagationRShared}}
}

// full is a container with something in each field that expressions know.
func full() *types.ContainerCreateConfig {
	c := container()
	c.Entrypoint, c.Cmd = []string{"/bin/web"}, []string{"--port", "80"}
	c.Env, c.Labels, c.SpecAnnotation = []string{"A=b=c", "EMPTY"}, map[string]string{"l": "1"}, map[string]string{"a": "2"}
	c.User, c.Tty = "1000:1000", true
	pids := int64(10)
	h := c.HostConfig
	h.GroupAdd, h.Privileged, h.ReadonlyRootfs = []string{"27"}, true, true
	h.CapAdd, h.CapDrop, h.SecurityOpt = []string{"NET_ADMIN"}, []string{"ALL"}, []string{"no-new-privileges"}
	h.Sysctls = map[string]string{"net.core.somaxconn": "10"}
	h.NetworkMode, h.PidMode, h.IpcMode = "host", "host", "host"
	h.Memory, h.CPUQuota, h.CPUPeriod, h.CPUShares, h.PidsLimit, h.OomScoreAdj = 1<<20, 150_000, 100_000, 2, &pids, -5
	h.Mounts = []mount.Mount{mountOf("/srv"), {Type: mount.TypeTmpfs, Target: "/tmp", ReadOnly: true}}
	h.Devices = []containertypes.DeviceMapping{{PathOnHost: "/dev/fuse", PathInContainer: "/dev/f", CgroupPermissions: "rw"}}
	return c
}

func TestExpressionsSeeTheContainerAndItsPod(t *testing.T) {
	pod := &types.SandboxMeta{
		Name: "web-0", Namespace: "shop", UID: "u", Hostname: "h", Runtime: "kata", CgroupParent: "/kube",
		Labels: map[string]string{"tier": "front"}, Annotations: map[string]string{"note": "x"},
	}
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "main"})
	for _, expression := range []string{
		`container.name == "main"`,
		`container.image.startsWith("registry.example.com/") && container.image.endsWith(":1.2")`,
		`container.command == ["/bin/web"] && container.args.size() == 2`,
		`container.env["A"] == "b=c" && "EMPTY" in container.env && !("B" in container.env)`,
		`container.labels["l"] + container.annotations["a"] == "12"`,
		`container.user.startsWith("1000:") && container.groups[0] == "27" && container.tty`,
		`container.privileged && container.readonlyRootfs`,
		`"NET_ADMIN" in container.capAdd && "ALL" in container.capDrop && container.securityOpt.exists(o, o.matches("^no-new-"))`,
		`container.sysctls.all(name, name.startsWith("net."))`,
		`container.hostNetwork && container.hostPid && container.hostIpc`,
		`container.memory == 1048576 && container.cpus == 1.5 && container.cpuShares == 2 && container.pids == 10 && container.oomScoreAdjust == -5`,
		`container.mounts.filter(m, m.type == "bind").map(m, m.source + m.target + m.propagation) == ["/srv/inrshared"]`,
		`container.mounts[1].readonly && container.mounts[1].propagation == ""`,
		`container.devices.exists_one(d, d.source == "/dev/fuse" && d.target == "/dev/f" && d.permissions == "rw")`,
		`pod.name + pod.namespace + pod.uid + pod.hostname + pod.runtime + pod.cgroupParent == "web-0shopuhkata/kube"`,
		`pod.labels["tier"] == "front" && has(pod.annotations.note) && !has(pod.labels.note)`,
		`container == container && container.mounts[0] != container.mounts[1]`,
	} {
		p, err := podpolicy.New(podpolicy.Config{Rules: []podpolicy.Rule{{Refuse: []podpolicy.Refusal{{If: compile(t, expression)}}}}})
		require.NoError(t, err)
		err = p.PreCreateContainer(ctx, full(), pod)
		assert.True(t, errdefs.IsPermissionDenied(err), expression)
		assert.ErrorContains(t, err, "forbids it: "+expression)
	}
}

func compile(t testing.TB, text string) *podpolicy.Expression {
	t.Helper()
	e := new(podpolicy.Expression)
	require.NoError(t, e.UnmarshalText([]byte(text)))
	return e
}

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for rule, want := range map[string]string{
		`{refuse: [{if: container.privilegd}]}`:           `:4: plugins.podpolicy.rules[0].refuse[0].if: line 1, column 10: undefined field 'privilegd'`,
		`{refuse: [{if: "container.memory >"}]}`:          `:4: plugins.podpolicy.rules[0].refuse[0].if: line 1, column 19: Syntax error`,
		`{refuse: [{if: container.memory > "1g"}]}`:       `no matching overload for '_>_' applied to '(int, string)'`,
		`{refuse: [{if: container.memory}]}`:              `neither true nor false, but a int`,
		`{refuse: [{if: pod.labels.tier.x}]}`:             `does not support field selection`,
		`{refuse: [{if: nobody.privileged}]}`:             `undeclared reference to 'nobody'`,
		`{refuse: [{if: 'container.user.matches("[")'}]}`: `error parsing regexp`,
		`{refuse: [{if: }]}`:                              `has no value: give a text`,
		`{refuse: [{message: no}]}`:                       `rules[0].refuse[0]: the key if is missing`,
		`{refuse: [{unless: "true"}]}`:                    `unknown key "unless"`,
		`{env: {"A=B": c}}`:                               `env "A=B": the name of a variable`,
		`{labels: {io.kubernetes.pod.name: x}}`:           `which is kubelet's`,
		`{limits: {memory: much}}`:                        `"much" is not a size`,
		`{limits: {memory: "-1"}}`:                        `"-1" is not a size`,
		`{limits: {cpus: -1}}`:                            `cpus -1: write how many`,
		`{limits: {ulimits: {files: "1:2"}}}`:             `ulimit files: "1:2": write soft:hard`,
		`{limits: {ulimits: {nofile: "3:2"}}}`:            `ulimit nofile: "3:2": write soft:hard`,
		`{when: {namespace: ""}}`:                         `the pattern is empty`,
	} {
		_, err := read(t, "    rules:\n      - "+rule+"\n")
		if assert.ErrorContains(t, err, want, rule) {
			assert.Contains(t, err.Error(), "config.yaml:4: plugins.podpolicy.rules[0]", rule)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, seed := range []string{`container.privileged`, `pod.labels["a"] == "b"`, `"\x00".matches("(a*)*$")`, `[1,2].all(x, x > 0)`, `container.mounts.exists(m, m.source.contains("a"))`, `((((`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := new(podpolicy.Expression)
		if e.UnmarshalText([]byte(text)) != nil {
			return
		}
		p, err := podpolicy.New(podpolicy.Config{Rules: []podpolicy.Rule{{Refuse: []podpolicy.Refusal{{If: e}}}}})
		require.NoError(t, err)
		if err := p.PreCreateContainer(t.Context(), full(), shop); err != nil {
			assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
		}
	})
}

// typical is a container as kubelet asks for one.
func typical() *types.ContainerCreateConfig {
	c := full()
	c.HostConfig.Privileged, c.Labels = false, map[string]string{}
	for i := range 20 {
		c.Env = append(c.Env, fmt.Sprintf("SERVICE_%d_PORT=tcp://10.0.0.%d:80", i, i))
	}
	for i := range 6 {
		c.Labels[fmt.Sprintf("io.kubernetes.%d", i)] = strings.Repeat("x", 20)
		c.HostConfig.Mounts = append(c.HostConfig.Mounts, mountOf(fmt.Sprintf("/var/lib/kubelet/pods/%d", i)))
	}
	return c
}

func BenchmarkPreCreateContainer(b *testing.B) {
	p := newPlugin(b, `
    rules:
      - when: {namespace: "!kube-system", labels: {tier: front|back}}
        env: {TEAM: blue}
        labels: {example.org/team: blue}
        limits: {memory: 1g, pids: 1000}
        refuse:
          - if: container.privileged
          - if: container.mounts.exists(m, m.type == "bind" && (m.source == "/" || m.source.startsWith("/etc")))
          - if: container.capAdd.exists(c, c in ["SYS_ADMIN", "SYS_MODULE", "ALL"])
          - if: '"DEBUG" in container.env'
`)
	c := typical()
	b.ReportAllocs()
	for b.Loop() {
		if err := p.PreCreateContainer(b.Context(), c, shop); err != nil {
			b.Fatal(err)
		}
	}
}
