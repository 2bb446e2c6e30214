package firewall

import (
	"context"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// "nft flush ruleset", which Debian's nftables.service does when it restarts
// (netavark issue 230, moby issue 48657).
func TestWhatWasFlushedIsMadeAgain(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web := h.container(a)
	serve(t, web.Namespace, "", 80)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	flush := func() {
		t.Helper()
		c, err := nftables.New()
		require.NoError(t, err)
		c.FlushRuleset()
		require.NoError(t, c.Flush())
		isKeptFrom(t, h.outside, hostIP, 8080)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"publish", func() error { return table.Publish(both(a, web.ip, "", 8081)) }},
		{"unpublish", func() error { return table.Unpublish(both(a, web.ip, "", 8081)) }},
		{"add a network", func() error { return table.AddNetwork(b.Network) }},
		{"remove a network", func() error { return table.RemoveNetwork(b.Bridge) }},
	} {
		flush()
		require.NoError(t, step.do(), step.name)
		reaches(t, h.outside, hostIP, 8080, outsideIP)
	}
	require.Equal(t, map[string]int{"bridges": 1, "talking": 1, "anyports4": 2}, held(t, table))
	flush()
	require.NoError(t, table.Delete())
}

func TestWhatWasFlushedIsMadeAgainAtOnce(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	ctx, cancel := context.WithCancel(t.Context())
	restored, ended := make(chan error, 10), make(chan error)
	go func() { ended <- table.Keep(ctx, func(err error) { restored <- err }) }()
	want := held(t, table)
	// The watch begins at some time: others' changes and our own do not count.
	require.Eventually(t, func() bool {
		c, err := nftables.New()
		require.NoError(t, err)
		c.FlushRuleset()
		require.NoError(t, c.Flush())
		select {
		case err := <-restored:
			require.NoError(t, err)
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}, patient, time.Millisecond)
	require.Equal(t, want, held(t, table))
	require.NoError(t, table.Replace([]Network{a.Network}, nil))
	require.NoError(t, table.Publish(both(a, web.ip, "", 8081)))
	require.NoError(t, table.Delete())
	cancel()
	require.NoError(t, <-ended)
	require.Empty(t, restored)
	require.NotContains(t, tables(t), "pouchfx-test")
}
