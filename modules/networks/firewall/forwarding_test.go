package firewall

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Docker and ufw drop what iptables does not know. On a host without iptables
// there is nothing to accept, and nothing is tried.
func TestContainersPassAFORWARDChainThatDrops(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web, stranger := h.container(a), h.container(b)
	serve(t, web.Namespace, "", 80)
	serve(t, h.outside, "", 90)
	dropping := forwardPolicy(t, "DROP")
	table := newTable(t, a, b)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	works := func() {
		t.Helper()
		reaches(t, h.outside, hostIP, 8080, outsideIP)
		reaches(t, nil, "127.0.0.1", 8080, "172.30.1.1")
		reaches(t, stranger.Namespace, hostIP, 8080, "172.30.1.1")
		reaches(t, web.Namespace, outsideIP, 90, hostIP)
		reaches(t, web.Namespace, outsideIP6, 90, hostIP6)
		isKeptFrom(t, h.outside, web.ip.String(), 80)
		isKeptFrom(t, stranger.Namespace, web.ip.String(), 80)
	}
	works()
	if !dropping {
		return
	}
	require.Len(t, forwardRulesOfOurs(t), 8, "in and out, two bridges, two families")

	require.NoError(t, table.AddNetwork(a.Network), "again")
	require.Len(t, forwardRulesOfOurs(t), 8)
	require.NoError(t, table.RemoveNetwork(b.Bridge))
	require.Len(t, forwardRulesOfOurs(t), 4)
	require.NotContains(t, strings.Join(forwardRulesOfOurs(t), "\n"), b.Bridge)

	t.Run("a daemon that was killed leaves no rules of bridges that went", func(t *testing.T) {
		next := New("pouchfx-test")
		require.NoError(t, next.Replace([]Network{b.Network}, nil))
		require.NotContains(t, strings.Join(forwardRulesOfOurs(t), "\n"), a.Bridge)
		require.NoError(t, next.Replace([]Network{a.Network, b.Network}, both(a, web.ip, "", 8080)))
		works()
		other := New("pouchfx-other")
		require.NoError(t, other.Replace(nil, nil))
		require.NoError(t, other.Delete())
		works()
	})
	require.NoError(t, table.Delete())
	require.Empty(t, forwardRulesOfOurs(t))
	require.True(t, forwardPolicy(t, "ACCEPT"))
	require.NoError(t, table.Replace([]Network{a.Network}, nil))
	require.Empty(t, forwardRulesOfOurs(t), "what is accepted needs no rule")
}

// forwardPolicy sets what iptables does with the unknown, if there is iptables.
func forwardPolicy(t *testing.T, policy string) bool {
	t.Helper()
	for _, command := range []string{"iptables", "ip6tables"} {
		if _, err := exec.LookPath(command); err != nil {
			return false
		}
		out, err := exec.Command(command, "-P", "FORWARD", policy).CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Cleanup(func() { exec.Command(command, "-P", "FORWARD", "ACCEPT").Run() })
	}
	return true
}

func forwardRulesOfOurs(t *testing.T) (ours []string) {
	t.Helper()
	for _, command := range []string{"iptables", "ip6tables"} {
		out, err := exec.Command(command, "-S", "FORWARD").CombinedOutput()
		require.NoError(t, err, "%s", out)
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "pouchfx") {
				ours = append(ours, line)
			}
		}
	}
	return ours
}
