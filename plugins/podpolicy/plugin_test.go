package podpolicy_test

import (
	"testing"

	"github.com/containerd/errdefs"
	containertypes "github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

const adding = `
    rules:
      - when: {namespace: shop, labels: {tier: front}}
        env: {TEAM: blue, ZONE: b}
        labels: {example.org/team: blue}
        limits: {memory: 512m, cpus: 0.5, cpu-shares: 512, pids: 100, ulimits: {nofile: "1024:2048"}}
      - when: {name: "side-*"}
        env: {TEAM: red}
        override: true
`

func TestARuleAddsToTheContainersThatItIsFor(t *testing.T) {
	c := container()
	require.NoError(t, newPlugin(t, adding).PreCreateContainer(t.Context(), c, shop))
	assert.Equal(t, []string{"TEAM=blue", "ZONE=b"}, c.Env)
	assert.Equal(t, map[string]string{"example.org/team": "blue"}, c.Labels)
	r := c.HostConfig.Resources
	assert.EqualValues(t, 512<<20, r.Memory)
	assert.EqualValues(t, 50_000, r.CPUQuota)
	assert.EqualValues(t, 100_000, r.CPUPeriod)
	assert.EqualValues(t, 512, r.CPUShares)
	assert.EqualValues(t, 100, *r.PidsLimit)
	assert.Equal(t, []*containertypes.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}}, r.Ulimits)
}

func TestOtherContainersStayAsTheyAre(t *testing.T) {
	for about, pod := range map[string]*types.SandboxMeta{
		"another namespace": {Namespace: "bank", Labels: shop.Labels},
		"another label":     {Namespace: "shop", Labels: map[string]string{"tier": "back"}},
		"no labels":         {Namespace: "shop"},
	} {
		c := container()
		require.NoError(t, newPlugin(t, adding).PreCreateContainer(t.Context(), c, pod))
		assert.Equal(t, container(), c, about)
	}
}

func TestWhatThePodAsksForStaysUnlessOverridden(t *testing.T) {
	c := container()
	c.Env = []string{"A=b", "TEAM=own"}
	c.Labels = map[string]string{"example.org/team": "own"}
	pids := int64(7)
	c.HostConfig.Resources = types.Resources{
		Memory: 1 << 20, CPUQuota: 1000, CPUPeriod: 1000, CPUShares: 1024, PidsLimit: &pids,
		Ulimits: []*containertypes.Ulimit{{Name: "nofile", Soft: 1, Hard: 1}},
	}
	asked := c.HostConfig.Resources
	require.NoError(t, newPlugin(t, adding).PreCreateContainer(t.Context(), c, shop))
	assert.Equal(t, []string{"A=b", "TEAM=own", "ZONE=b"}, c.Env)
	assert.Equal(t, map[string]string{"example.org/team": "own"}, c.Labels)
	assert.Equal(t, asked, c.HostConfig.Resources)

	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "side-car"})
	require.NoError(t, newPlugin(t, adding).PreCreateContainer(ctx, c, shop))
	assert.Equal(t, []string{"A=b", "TEAM=red", "ZONE=b"}, c.Env)

	all := "    rules: [{override: true, labels: {example.org/team: blue}, limits: {memory: 2m, cpus: 2, cpu-shares: 3, pids: 9, ulimits: {nofile: \"5:5\"}}}]\n"
	require.NoError(t, newPlugin(t, all).PreCreateContainer(ctx, c, shop))
	assert.Equal(t, "blue", c.Labels["example.org/team"])
	r := c.HostConfig.Resources
	assert.Equal(t, []int64{2 << 20, 2000, 1000, 3, 9, 5}, []int64{r.Memory, r.CPUQuota, r.CPUPeriod, r.CPUShares, *r.PidsLimit, r.Ulimits[0].Hard})
	assert.EqualValues(t, 7, pids, "what others hold is not written to")
}

const refusing = `
    rules:
      - name: baseline
        when: {namespace: "!kube-system"}
        refuse:
          - {if: container.privileged, message: privileged containers are for kube-system}
          - if: container.mounts.exists(m, m.source.startsWith("/var/run"))
          - if: container.env["LEVEL"] == "debug"
            message: no debugging here
      - limits: {memory: 1g}
`

func TestARefusalNamesItsRuleAndSaysWhy(t *testing.T) {
	p := newPlugin(t, refusing)
	c := container()
	c.HostConfig.Privileged = true
	err := p.PreCreateContainer(t.Context(), c, shop)
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.EqualError(t, err, `rule "baseline" forbids it: privileged containers are for kube-system`)
	require.NoError(t, p.PreCreateContainer(t.Context(), c, &types.SandboxMeta{Namespace: "kube-system"}))

	c = container()
	c.HostConfig.Mounts = append(c.HostConfig.Mounts, mountOf("/var/run/docker.sock"))
	assert.EqualError(t, p.PreCreateContainer(t.Context(), c, shop),
		`rule "baseline" forbids it: container.mounts.exists(m, m.source.startsWith("/var/run"))`)

	c = container()
	c.Env = []string{"LEVEL=debug"}
	assert.ErrorContains(t, p.PreCreateContainer(t.Context(), c, shop), "no debugging here")
	c.Env = []string{"LEVEL=debug", "LEVEL=info"}
	assert.NoError(t, p.PreCreateContainer(t.Context(), c, shop))
}

func TestWhatCannotBeJudgedIsRefused(t *testing.T) {
	err := newPlugin(t, refusing).PreCreateContainer(t.Context(), container(), shop) // without LEVEL
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.EqualError(t, err, `rule "baseline" refuses what it cannot judge: container.env["LEVEL"] == "debug": no such key: LEVEL`)

	c := container()
	for range 2000 {
		c.Env = append(c.Env, "A=b")
	}
	for range 2000 {
		c.HostConfig.Mounts = append(c.HostConfig.Mounts, mountOf("/a"))
	}
	costly := newPlugin(t, `
    rules: [{refuse: [{if: 'container.mounts.exists(a, container.mounts.exists(b, a.source != b.source))'}]}]
`)
	err = costly.PreCreateContainer(t.Context(), c, shop)
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.ErrorContains(t, err, "cost limit exceeded")

	for _, sandbox := range []any{nil, "no sandbox", (*types.SandboxMeta)(nil)} {
		assert.ErrorContains(t, costly.PreCreateContainer(t.Context(), container(), sandbox), "want a *types.SandboxMeta")
	}
}

func TestRulesJudgeWhatRulesHaveAdded(t *testing.T) {
	p := newPlugin(t, `
    rules:
      - refuse: [{if: container.memory == 0 || container.memory > 1024 * 1024 * 1024, message: bound the memory}]
      - when: {namespace: shop}
        limits: {memory: 1g}
`)
	require.NoError(t, p.PreCreateContainer(t.Context(), container(), shop))
	assert.EqualError(t, p.PreCreateContainer(t.Context(), container(), &types.SandboxMeta{Namespace: "bank"}),
		`rule "rules[0]" forbids it: bound the memory`)
}
