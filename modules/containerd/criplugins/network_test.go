package criplugins_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
)

func TestAPodGetsItsNetworkFromCNI(t *testing.T) {
	c := containerdtest.CRI(t)
	c.CRI.CNIConfDir, c.CRI.CNIBinDirs = t.TempDir(), []string{cnitest.Dir()}
	e := containerdtest.Start(t, c)
	give(t, e, box, containerdtest.Box(t))
	// As a network add-on brings its configuration after the daemon's start.
	require.NoError(t, os.WriteFile(filepath.Join(c.CRI.CNIConfDir, "10-pods.conflist"), []byte(`{
  "cniVersion": "1.0.0", "name": "pods",
  "plugins": [{"type": "bridge", "bridge": "pxcri0", "ipam": {
    "type": "host-local", "dataDir": "`+t.TempDir()+`", "ranges": [[{"subnet": "10.213.7.0/24"}]]}}]
}`), 0o600))
	k := kubeletOf(e)
	require.Eventually(t, func() bool {
		s, err := k.Status(t.Context(), &cri.StatusRequest{})
		require.NoError(t, err)
		for _, c := range s.Status.Conditions {
			if c.Type == "NetworkReady" {
				return c.Status
			}
		}
		return false
	}, waitFor, tick)

	p := pod(t, "p")
	p.Hostname = "p"
	p.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_POD
	sandbox := k.run(t, p)
	s, err := k.PodSandboxStatus(t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: sandbox})
	require.NoError(t, err)
	ip, err := netip.ParseAddr(s.Status.Network.Ip)
	require.NoError(t, err)
	assert.True(t, netip.MustParsePrefix("10.213.7.0/24").Contains(ip))
	id := k.container(t, sandbox, p, "sleep 100")
	ran, err := k.ExecSync(t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"cat", "/proc/net/fib_trie"}})
	require.NoError(t, err)
	assert.Contains(t, string(ran.Stdout), ip.String())
	assert.Contains(t, string(ran.Stdout), "127.0.0.1", "loopback is up without a program for it")
}
