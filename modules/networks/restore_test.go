package networks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/modules/store"
)

// ask resolves a name as a process in a container does.
func (h *house) ask(id, name string) []string {
	h.t.Helper()
	var found []string
	h.inside(id, func() {
		// The sockets are made on other threads by the library: not here.
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.11:53")))
		require.NoError(h.t, err)
		resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
		ctx, cancel := context.WithTimeout(h.t.Context(), 3*time.Second)
		defer cancel()
		addrs, err := resolver.LookupNetIP(ctx, "ip4", name+".")
		if err == nil {
			for _, a := range addrs {
				found = append(found, a.Unmap().String())
			}
		}
	})
	return found
}

func TestEverythingIsRestoredAfterAKill(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", withSubnet("10.5.0.0/24"))
	web := h.open("web", publishing("8080:80"))
	h.connect(web, "mynet", "bridge")
	other := h.run("other", "mynet")
	h.serve(web, "web", 80)
	before, _ := h.Settings(web)
	require.Equal(t, []string{"10.5.0.2"}, h.ask(other, "web"))

	h.kill()
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"), "containers are reached without the daemon")
	h.begin()
	after, ok := h.Settings(web)
	require.True(t, ok)
	assert.Equal(t, before, after)
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	assert.Equal(t, []string{"10.5.0.2"}, h.ask(other, "web"))
	_, err := net.Listen("tcp4", "0.0.0.0:8080")
	assert.ErrorIs(t, err, unix.EADDRINUSE, "ports are reserved again")

	require.NoError(t, h.Close(t.Context(), web))
	require.NoError(t, h.Close(t.Context(), other))
	assert.Empty(t, h.leases(h.inspect("mynet").ID))
	assert.Empty(t, answer(t, "127.0.0.1:8080"))
}

func TestAStopLeavesContainersConnected(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	h.create("idle")
	web := h.open("web", publishing("8080:80"))
	h.connect(web, "mynet")
	h.serve(web, "web", 80)
	idle := "px-" + h.inspect("idle").ID[:12]
	h.end()
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	links, err := netlink.LinkList()
	require.NoError(t, err)
	for _, l := range links {
		assert.NotEqual(t, idle, l.Attrs().Name, "devices that serve nobody go")
	}
	h.begin()
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
}

func TestABridgeThatSomebodyRemovedIsMadeAnew(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", withSubnet("10.5.0.0/24"), withOptionTo("br-mine"))
	web := h.open("web", publishing("8080:80"))
	h.connect(web, "mynet")
	h.serve(web, "web", 80)
	h.kill()
	link, err := netlink.LinkByName("br-mine")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkDel(link))
	h.begin()
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
}

// After a reboot the namespaces are gone, and whoever is found has nothing.
func TestSandboxesWithoutTheirNamespaceAreTakenDown(t *testing.T) {
	h := newHouse(t)
	web := h.run("web", "bridge")
	sb, err := h.opened(web)
	require.NoError(t, err)
	h.kill()
	require.NoError(t, unix.Unmount(sb.netns(), unix.MNT_DETACH))
	h.begin()
	assert.Empty(t, h.Sandboxes())
	assert.Empty(t, h.leases(h.inspect("bridge").ID))
	assert.NoDirExists(t, sb.dir)
}

func TestWhatIsUnknownIsSwept(t *testing.T) {
	h := newHouse(t)
	web := h.run("web", "bridge")
	gone := h.create("gone")
	bridge := h.inspect("bridge")
	kept := h.leases(bridge.ID)
	h.kill()

	dir := filepath.Join(h.dir, "x", "cni", "leases")
	require.NoError(t, os.WriteFile(filepath.Join(dir, bridge.ID, "172.17.0.99"), []byte("nobody\r\neth0"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "unknown"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, "x", "networks", "broken"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "x", "networks", "broken", stateFile), []byte("{"), 0o600))
	master, err := netlink.LinkByName("px-" + bridge.ID[:12])
	require.NoError(t, err)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "vethlost", MasterIndex: master.Attrs().Index}, PeerName: "vethlost2"}
	require.NoError(t, netlink.LinkAdd(veth))
	records := store.New(filepath.Join(h.dir, "d", "px.db"))
	require.NoError(t, records.Start(t.Context()))
	require.NoError(t, records.Delete(bucket, gone.ID)) // removed, all but its device
	require.NoError(t, records.Stop(t.Context()))

	h.begin()
	assert.ElementsMatch(t, kept, h.leases(bridge.ID))
	assert.NoDirExists(t, filepath.Join(dir, "unknown"))
	assert.NoDirExists(t, filepath.Join(h.dir, "x", "networks", "broken"))
	links, err := netlink.LinkList()
	require.NoError(t, err)
	for _, l := range links {
		assert.NotEqual(t, "vethlost", l.Attrs().Name)
		assert.NotEqual(t, "px-"+gone.ID[:12], l.Attrs().Name)
	}
	require.NoError(t, h.Close(t.Context(), web))
}

// child plays a daemon that a CNI program is going to kill.
const childRoot = "POUCHFX_NETWORKS_CHILD"

func child(root string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	records := store.New(filepath.Join(root, "d", "px.db"))
	fail(records.Start(ctx))
	s := New(Params{Root: filepath.Join(root, "d"), ExecRoot: filepath.Join(root, "x"), Store: records, Events: events.New(), Log: zap.NewNop(),
		Programs: []string{filepath.Join(root, "script"), cnitest.Dir()}})
	fail(s.Start(ctx))
	sb := Sandbox{Container: containerID("web"), Name: "web"}
	publishing("8080:80")(&sb)
	_, err := s.Open(ctx, sb)
	fail(err)
	fail(s.Connect(ctx, sb.Container, endpointOn("bridge"), endpointOn("mynet")))
	fail(s.Close(ctx, sb.Container))
}

func TestADaemonKilledAtAnyStepLeavesNothing(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for call := 1; call <= 4; call++ { // two ADD, two DEL
			t.Run(fmt.Sprintf("%s call %d", when, call), func(t *testing.T) {
				h := newHouse(t)
				mynet := h.create("mynet")
				h.end()
				h.bridgeScript(fmt.Sprintf(`
echo >> $DIR/calls
test $(wc -l < $DIR/calls) = %d && mine=yes
test "$mine" && test %[2]s = before && kill -9 $PPID
cat > $DIR/stdin
$REAL < $DIR/stdin
status=$?
test "$mine" && test %[2]s = after && kill -9 $PPID
exit $status`, call, when))
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = append(os.Environ(), childRoot+"="+h.dir)
				out, err := cmd.CombinedOutput()
				require.ErrorContains(t, err, "killed", string(out))

				h.programs = []string{cnitest.Dir()}
				h.begin()
				for _, id := range h.Sandboxes() { // as containers do that do not run
					require.NoError(t, h.Close(t.Context(), id))
				}
				assert.Empty(t, h.leases(mynet.ID))
				assert.Empty(t, h.leases(h.inspect("bridge").ID))
				dirs, err := os.ReadDir(filepath.Join(h.dir, "x", "networks"))
				require.NoError(t, err)
				assert.Empty(t, dirs)
				for _, d := range devices(t) {
					assert.False(t, strings.HasPrefix(d, "veth"), d)
				}
				id := h.open("web", publishing("8080:80")) // and all of it works
				h.connect(id, "bridge", "mynet")
			})
		}
	}
}

// A daemon that is killed leaves programs running that it started.
func TestAStartWaitsForProgramsOfTheDaemonBefore(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	h.end()
	h.bridgeScript(`kill -9 $PPID; sleep 0.3; exec $REAL`)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childRoot+"="+h.dir)
	out, err := cmd.CombinedOutput()
	require.ErrorContains(t, err, "killed", string(out))
	h.programs = []string{cnitest.Dir()}
	h.begin()
	for _, id := range h.Sandboxes() {
		require.NoError(t, h.Close(t.Context(), id))
	}
	assert.Empty(t, h.leases(h.inspect("bridge").ID))
}
