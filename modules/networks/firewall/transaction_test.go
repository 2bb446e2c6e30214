package firewall

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWhatIsMissingIsSaid(t *testing.T) {
	for err, text := range map[error]string{
		unix.EPERM:           "CAP_NET_ADMIN",
		unix.EPROTONOSUPPORT: "modprobe",
		unix.EOPNOTSUPP:      "CONFIG_NF_TABLES_INET",
		unix.ENOENT:          "host and none",
	} {
		got := explain(fmt.Errorf("conn.Receive: %w", err))
		require.True(t, errdefs.IsUnavailable(got), "%v", got)
		require.ErrorContains(t, got, text)
		require.ErrorIs(t, got, err)
		require.False(t, strings.Contains(got.Error(), "\n"), "%q", got)
	}
	require.False(t, errdefs.IsUnavailable(explain(unix.ENOMEM)))
	require.NoError(t, explain(nil))
}

// A daemon that lacks the capability is told so by the kernel.
func TestWithoutTheCapabilityItIsUnavailable(t *testing.T) {
	newHost(t)
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread() // and ends with the goroutine: it lacks a capability
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		err := New("pouchfx-test").Replace(nil, nil)
		if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("got %v", err)
		}
	})
	wait.Wait()
}

func TestEveryPortOfAHostFitsOneTransaction(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	table := newTable(t, a)
	all := ports(a, 1, 65535)
	require.NoError(t, table.Replace([]Network{a.Network}, all))
	require.Equal(t, len(all), held(t, table)["anyports6"])
	require.NoError(t, table.Unpublish(all))
	require.NoError(t, table.Publish(all))
	require.Equal(t, len(all), held(t, table)["anyports6"])
}

// ports are n TCP ports of IPv6, the larger of the two, from first on.
func ports(w *network, first, n int) []Port {
	all := make([]Port, n)
	for i := range all {
		all[i] = Port{Protocol: "tcp", HostPort: uint16(first + i), Container: netip.MustParseAddr("fd00:1::2"), ContainerPort: 80, Bridge: w.Bridge}
	}
	return all
}
