package networks

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// counts is what a storm must leave as it found it.
type counts struct{ namespaces, links, leases, states, files, goroutines int }

// settledTo reports whether all is as before, where a goroutine may have been
// counted that was just ending.
func (c counts) settledTo(before counts) bool {
	c.goroutines = max(c.goroutines, before.goroutines)
	return c == before
}

func (h *house) count(network string) counts {
	h.t.Helper()
	namespaces, err := mountinfo.GetMounts(mountinfo.PrefixFilter(h.dir))
	require.NoError(h.t, err)
	c := counts{namespaces: len(namespaces), leases: len(h.leases(network)), goroutines: runtime.NumGoroutine()}
	links, err := netlink.LinkList()
	require.NoError(h.t, err)
	c.links = len(links)
	states, err := os.ReadDir(h.Service.dir)
	require.NoError(h.t, err)
	c.states = len(states)
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(h.t, err)
	for _, f := range files {
		// The runtime's own come and go.
		if target, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.HasPrefix(target, "anon_inode:") {
			c.files++
		}
	}
	return c
}

func TestAStormLeavesNothing(t *testing.T) {
	h := newHouse(t)
	network := h.create("mynet")
	once := func(i int) error {
		name := fmt.Sprint("c", i)
		sb := Sandbox{Container: containerID(name), Name: name}
		publishing("80", fmt.Sprintf("%d:81", 10000+i))(&sb)
		if _, err := h.Open(t.Context(), sb); err != nil {
			return err
		}
		if err := h.Connect(t.Context(), sb.Container, endpointOn("mynet")); err != nil {
			return err
		}
		if i%4 == 0 {
			if err := h.Disconnect(t.Context(), sb.Container, "mynet", false); err != nil {
				return err
			}
		}
		return h.Close(t.Context(), sb.Container)
	}
	require.NoError(t, once(0)) // what is made once and kept
	devices(t)
	before := h.count(network.ID)
	total := 200
	if testing.Short() {
		total = 40
	}
	begun := time.Now()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range total {
		group.Go(func() error { return once(i) })
	}
	require.NoError(t, group.Wait())
	t.Logf("%d containers connected and closed, %.0f a second", total, float64(total)/time.Since(begun).Seconds())
	// The kernel takes namespaces down in its own time. (Eventually has a
	// goroutine of its own.)
	now := h.count(network.ID)
	for deadline := time.Now().Add(10 * time.Second); !now.settledTo(before) && time.Now().Before(deadline); now = h.count(network.ID) {
		time.Sleep(10 * time.Millisecond)
	}
	assert.True(t, now.settledTo(before), "%+v before, %+v after", before, now)
	assert.Empty(t, h.Service.ports)
}

func TestOneContainersCallsWaitForEachOther(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	id := h.open("web")
	var group errgroup.Group
	for i := range 24 {
		group.Go(func() error {
			switch i % 4 {
			case 0:
				_ = h.Connect(t.Context(), id, endpointOn("mynet")) // may be connected, or closed, by then
			case 1:
				_ = h.Disconnect(t.Context(), id, "mynet", false)
			case 2:
				h.Rename(id, fmt.Sprint("web", i))
				h.Settings(id)
				h.Names(id)
			case 3:
				if i > 20 {
					return h.Close(t.Context(), id)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, h.Close(t.Context(), id))
	assert.Empty(t, h.leases(h.inspect("mynet").ID))
}
