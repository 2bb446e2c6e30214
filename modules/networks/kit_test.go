package networks

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/networktypes"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		child(root)
		return
	}
	cnitest.Build()
	netnstest.Main(m)
}

// house is a service on roots of its own, in the namespace of the tests, that
// a test may end, kill and begin again.
type house struct {
	*Service
	t        testing.TB
	dir      string
	programs []string
	store    *store.Store
	bus      *events.Bus
}

func newHouse(t testing.TB) *house {
	t.Helper()
	netnstest.RequireRoot(t)
	before := goleak.IgnoreCurrent()
	dir, err := os.MkdirTemp("/tmp", "pxn")
	require.NoError(t, err)
	h := &house{t: t, dir: dir, programs: []string{cnitest.Dir()}}
	h.begin()
	t.Cleanup(func() {
		if h.Service != nil {
			for _, id := range h.Sandboxes() {
				assert.NoError(t, h.Close(context.Background(), id))
			}
			h.end()
		}
		assert.NoError(t, os.RemoveAll(dir))
		assert.Equal(t, []string{"lo"}, devices(t), "devices of the tests' host")
		goleak.VerifyNone(t, before)
	})
	return h
}

// begin starts the service, on what was there before.
func (h *house) begin() {
	h.t.Helper()
	h.store, h.bus = store.New(filepath.Join(h.dir, "d", "px.db")), events.New()
	require.NoError(h.t, h.store.Start(h.t.Context()))
	h.Service = New(Params{Root: filepath.Join(h.dir, "d"), ExecRoot: filepath.Join(h.dir, "x"), Programs: h.programs,
		Store: h.store, Events: h.bus, Log: zaptest.NewLogger(h.t)})
	require.NoError(h.t, h.Start(h.t.Context()))
}

// end stops the service.
func (h *house) end() {
	h.t.Helper()
	assert.NoError(h.t, h.Stop(context.Background()))
	assert.NoError(h.t, h.store.Stop(context.Background()))
	h.Service = nil
}

// kill ends the service as SIGKILL does: what the kernel would close is
// closed, and nothing else is done.
func (h *house) kill() {
	h.t.Helper()
	for _, sb := range h.sandboxes {
		assert.NoError(h.t, sb.stopServer())
		for key := range sb.sockets {
			h.give(sb, key)
		}
	}
	require.NoError(h.t, h.rules.end(true))
	require.NoError(h.t, h.Service.programs.stop())
	require.NoError(h.t, h.store.Stop(context.Background()))
	h.Service = nil
}

// create makes a network.
func (h *house) create(name string, change ...func(*network.CreateRequest)) network.Inspect {
	h.t.Helper()
	r := network.CreateRequest{Name: name}
	for _, c := range change {
		c(&r)
	}
	made, err := h.Create(h.t.Context(), r)
	require.NoError(h.t, err)
	return h.inspect(made.ID)
}

func (h *house) inspect(name string) network.Inspect {
	h.t.Helper()
	found, err := h.Inspect(h.t.Context(), name)
	require.NoError(h.t, err)
	return found
}

// open makes a sandbox named name, whose id is made from it.
func (h *house) open(name string, change ...func(*Sandbox)) string {
	h.t.Helper()
	sb := Sandbox{Container: containerID(name), Name: name}
	for _, c := range change {
		c(&sb)
	}
	_, err := h.Open(h.t.Context(), sb)
	require.NoError(h.t, err)
	return sb.Container
}

func containerID(name string) string {
	return fmt.Sprintf("%x", name) + strings.Repeat("0", 64-2*len(name))
}

// run is open and connect.
func (h *house) run(name string, networks ...string) string {
	h.t.Helper()
	id := h.open(name)
	h.connect(id, networks...)
	return id
}

func (h *house) connect(id string, networks ...string) {
	h.t.Helper()
	var asked []*networktypes.Endpoint
	for _, n := range networks {
		asked = append(asked, endpointOn(n))
	}
	require.NoError(h.t, h.Connect(h.t.Context(), id, asked...))
}

func endpointOn(name string, change ...func(*networktypes.Endpoint)) *networktypes.Endpoint {
	ep := &networktypes.Endpoint{Network: name, EndpointConfig: &network.EndpointSettings{}}
	for _, c := range change {
		c(ep)
	}
	return ep
}

// on is what inspect shows of a container's endpoint.
func (h *house) on(id, name string) *network.EndpointSettings {
	h.t.Helper()
	settings, ok := h.Settings(id)
	require.True(h.t, ok)
	require.Contains(h.t, settings.Networks, name)
	return settings.Networks[name]
}

// inside runs f in a container's namespace.
func (h *house) inside(id string, f func()) {
	h.t.Helper()
	sb, err := h.opened(id)
	require.NoError(h.t, err)
	require.NoError(h.t, inNamespace(sb.netns(), func() error { f(); return nil }))
}

// links are a container's interfaces with their IPv4 addresses, in order.
func (h *house) links(id string) []string {
	h.t.Helper()
	var found []string
	h.inside(id, func() {
		links, err := netlink.LinkList()
		require.NoError(h.t, err)
		for _, l := range links {
			text := l.Attrs().Name
			addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
			require.NoError(h.t, err)
			for _, a := range addrs {
				text += " " + a.IPNet.String()
			}
			found = append(found, text)
		}
	})
	return found
}

// defaultRoute is the gateway of a container's default route.
func (h *house) defaultRoute(id string) (gateway netip.Addr) {
	h.t.Helper()
	h.inside(id, func() {
		routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		require.NoError(h.t, err)
		for _, r := range routes {
			if p, ok := prefixFrom(r.Dst); r.Gw != nil && (!ok || p.Bits() == 0) {
				gateway, _ = netip.AddrFromSlice(r.Gw)
			}
		}
	})
	return gateway.Unmap()
}

// devices are those of the tests' host.
func devices(t testing.TB) []string {
	t.Helper()
	var names []string
	// The kernel takes namespaces down in its own time.
	require.Eventually(t, func() bool {
		links, err := netlink.LinkList()
		if err != nil {
			return false
		}
		names = nil
		for _, l := range links {
			names = append(names, l.Attrs().Name)
		}
		return !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "veth") })
	}, 5*time.Second, 5*time.Millisecond)
	return names
}

// leases are the addresses that a network's containers have.
func (h *house) leases(id string) []string {
	h.t.Helper()
	entries, err := os.ReadDir(h.Service.programs.leases(id))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(h.t, err)
	var found []string
	for _, e := range entries {
		if _, err := netip.ParseAddr(e.Name()); err == nil {
			found = append(found, e.Name())
		}
	}
	return found
}

// said returns the actions of the events on a network, in order.
func (h *house) said(name string) []string {
	past, _, cancel := h.bus.Subscribe(time.Unix(1, 0), time.Now())
	defer cancel()
	var actions []string
	for _, m := range past {
		if m.Type == eventtypes.NetworkEventType && m.Actor.Attributes["name"] == name {
			actions = append(actions, string(m.Action))
		}
	}
	return actions
}
