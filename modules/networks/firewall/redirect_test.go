package firewall

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARedirectOfNameQueriesIsReplaced(t *testing.T) {
	h := newHost(t)
	c := h.container(h.network(1))
	serve(t, c.Namespace, "127.0.0.11", 5301)
	serve(t, c.Namespace, "127.0.0.11", 5302)
	for _, ports := range [][2]uint16{{5301, 5301}, {5302, 5301}, {5301, 5302}} {
		require.NoError(t, RedirectDNS(c.Path(), ports[0], ports[1]))
		reaches(t, c.Namespace, "127.0.0.11", 53, "127.0.0.1")
	}
	_, err := seen(c.Namespace, "tcp", "127.0.0.1", 53, quick)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "other addresses are the container's")
	require.Error(t, RedirectDNS("/nowhere", 1, 1))
	require.NotContains(t, tables(t), "pouchfx-dns", "the host has no redirect")
}
