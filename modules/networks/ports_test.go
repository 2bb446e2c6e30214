package networks

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// publishing gives a sandbox ports as the docker CLI writes them:
// "127.0.0.1:8080:80/tcp", "8080:80" or "80".
func publishing(specs ...string) func(*Sandbox) {
	return func(sb *Sandbox) {
		sb.Ports = network.PortMap{}
		for _, spec := range specs {
			words := strings.Split(spec, ":")
			port := network.MustParsePort(words[len(words)-1])
			var b network.PortBinding
			if len(words) > 1 {
				b.HostPort = words[len(words)-2]
			}
			if len(words) > 2 {
				b.HostIP = netip.MustParseAddr(words[0])
			}
			sb.Ports[port] = append(sb.Ports[port], b)
		}
	}
}

// published is what inspect shows of a container's ports, as "80/tcp → 0.0.0.0:8080".
func (h *house) publishedPorts(id string) map[string][]string {
	settings, _ := h.Settings(id)
	found := map[string][]string{}
	for port, bindings := range settings.Ports {
		for _, b := range bindings {
			found[port.String()] = append(found[port.String()], b.HostIP.String()+":"+b.HostPort)
		}
	}
	return found
}

// serve has a container answer on a port with its name until the test ends.
func (h *house) serve(id, name string, port int) {
	h.t.Helper()
	h.inside(id, func() {
		l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
		require.NoError(h.t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, name)
				_ = c.Close()
			}
		}()
		h.t.Cleanup(func() { _ = l.Close(); <-done })
	})
}

// answer is what answers at an address of the tests' host.
func answer(t testing.TB, address string) string { return answerWithin(t, address, 2*time.Second) }

func answerWithin(t testing.TB, address string, timeout time.Duration) string {
	t.Helper()
	c, err := net.DialTimeout("tcp4", address, timeout)
	if err != nil {
		return ""
	}
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Second)))
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(text)
}

func TestPublishedPortsLeadToTheContainer(t *testing.T) {
	h := newHouse(t)
	id := h.open("web", publishing("8080:80", "127.0.0.1:8081:80", "80/udp", "9000-9002:90"))
	h.connect(id, "bridge")
	h.serve(id, "web", 80)
	shown := h.publishedPorts(id)
	assert.Equal(t, []string{"0.0.0.0:8080", "127.0.0.1:8081"}, shown["80/tcp"])
	assert.Equal(t, []string{"0.0.0.0:9000"}, shown["90/tcp"])
	require.Len(t, shown["80/udp"], 1)
	assert.NotContains(t, shown["80/udp"][0], ":0")
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	assert.Equal(t, "web", answer(t, "127.0.0.1:8081"))
	gateway := h.on(id, "bridge").Gateway
	assert.Equal(t, "web", answer(t, gateway.String()+":8080"))
	assert.Empty(t, answer(t, gateway.String()+":8081"))

	require.NoError(t, h.Close(t.Context(), id))
	assert.Empty(t, answer(t, "127.0.0.1:8080"))
	l, err := net.Listen("tcp4", "0.0.0.0:8080")
	require.NoError(t, err, "the port is free again")
	require.NoError(t, l.Close())
}

func TestPublishedPortsFollowTheDefaultRoute(t *testing.T) {
	h := newHouse(t)
	h.create("a")
	h.create("b")
	id := h.open("web", publishing("8080:80"))
	h.connect(id, "b")
	h.serve(id, "web", 80)
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	h.connect(id, "a")
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	require.NoError(t, h.Disconnect(t.Context(), id, "a", false))
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	require.NoError(t, h.Disconnect(t.Context(), id, "b", false))
	assert.Empty(t, answer(t, "127.0.0.1:8080"))
	h.connect(id, "b")
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"), "the port stayed reserved")
}

func TestAPortInUseIsRefusedWithWhoHasIt(t *testing.T) {
	h := newHouse(t)
	h.connect(h.open("web", publishing("8080:80", "127.0.0.1:8081:81")), "bridge")
	l, err := net.Listen("tcp4", "0.0.0.0:8090")
	require.NoError(t, err)
	defer l.Close()
	u, err := net.ListenPacket("udp4", "127.0.0.1:8090")
	require.NoError(t, err)
	defer u.Close()
	comm, err := os.ReadFile("/proc/self/comm")
	require.NoError(t, err)
	me := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	for spec, says := range map[string]string{
		"8080:80":           "Bind for 0.0.0.0:8080 failed: port is already allocated, by container web",
		"127.0.0.1:8080:80": "Bind for 127.0.0.1:8080 failed: port is already allocated, by container web",
		"8081:80":           "Bind for 0.0.0.0:8081 failed: port is already allocated, by container web",
		"8080-8081:80":      "Bind for 0.0.0.0:8080-8081 failed: all ports are allocated",
		"8090:80":           "listen tcp4 0.0.0.0:8090: bind: address already in use, by process " + me,
		"8090:80/udp":       "listen udp4 0.0.0.0:8090: bind: address already in use, by process " + me,
		"192.0.2.77:80:80":  "listen tcp4 192.0.2.77:80: bind: cannot assign requested address",
	} {
		id := h.open("other", publishing("7000:7000", spec))
		err := h.Connect(t.Context(), id, endpointOn("bridge"))
		require.ErrorContains(t, err, "driver failed programming external connectivity on endpoint other (", spec)
		assert.ErrorContains(t, err, says)
		assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id), "what was set up is taken down")
		assert.Empty(t, h.publishedPorts(id))
		assert.Len(t, h.Service.ports, 2, "and reservations are given back")
	}
	h.connect(h.open("beside", publishing("8080:80/udp", "127.0.0.2:8081:81")), "bridge") // neither is in use
}

func TestRangesAndFreePortsStayOutOfEachOthersWay(t *testing.T) {
	h := newHouse(t)
	id := h.open("web", publishing("5000-5003:1", "5001:2", "5000-5001:3", "4", "4", "5"))
	h.connect(id, "bridge")
	shown := h.publishedPorts(id)
	assert.Equal(t, []string{"0.0.0.0:5001"}, shown["2/tcp"])
	assert.Equal(t, []string{"0.0.0.0:5000"}, shown["3/tcp"])
	assert.Equal(t, []string{"0.0.0.0:5002"}, shown["1/tcp"])
	assert.Len(t, shown["4/tcp"], 2)
	assert.Len(t, shown["5/tcp"], 1)
}

func TestANetworkMaySayWherePortsArePublished(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", withOption(optionHostIP, "127.0.0.1"))
	id := h.open("web", publishing("8080:80"))
	h.connect(id, "mynet")
	assert.Equal(t, []string{"127.0.0.1:8080"}, h.publishedPorts(id)["80/tcp"])
}

func TestAReservedPortCannotBeListenedOn(t *testing.T) {
	h := newHouse(t)
	h.connect(h.open("web", publishing("8080:80", "8080:80/udp")), "bridge")
	_, err := net.Listen("tcp4", "0.0.0.0:8080") // Go sets SO_REUSEADDR
	assert.ErrorIs(t, err, unix.EADDRINUSE)
	_, err = net.ListenPacket("udp4", "127.0.0.1:8080")
	assert.ErrorIs(t, err, unix.EADDRINUSE)
}

// What a server leaves behind is no hindrance, and a port that was taken in
// spite of it is as good as another.
func TestAPortWithClosedConnectionsIsFree(t *testing.T) {
	h := newHouse(t)
	l, err := net.Listen("tcp4", "127.0.0.1:8080")
	require.NoError(t, err)
	client, err := net.Dial("tcp4", "127.0.0.1:8080")
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, server.Close()) // the first to close keeps the port
	_, _ = io.ReadAll(client)
	require.NoError(t, client.Close())
	require.NoError(t, l.Close())

	h.connect(h.open("web", publishing("8080:80")), "bridge")
	_, err = net.Listen("tcp4", "0.0.0.0:8080")
	assert.ErrorIs(t, err, unix.EADDRINUSE)
	_, err = net.DialTimeout("tcp4", "127.0.0.1:8080", time.Second)
	assert.ErrorIs(t, err, unix.ECONNREFUSED, "nobody listens: it leads to the container")
}

func TestSocketsInATable(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
   3: broken
`
	assert.Equal(t, []string{"4711"}, socketsIn(strings.NewReader(table), 8080, "0A"))
}

func FuzzSocketsInATable(f *testing.F) {
	f.Add([]byte("0: 0100007F:1F90 0:0 0A 0 0 0 0 0 4711\n"), uint16(8080))
	f.Fuzz(func(t *testing.T, table []byte, port uint16) {
		for _, inode := range socketsIn(bytes.NewReader(table), port, "0A") {
			assert.NotEmpty(t, inode)
		}
	})
}

func FuzzParsePorts(f *testing.F) {
	for _, text := range []string{"", "80", "80-90", "0", "-", "90-80", "65536", "80-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, err := parsePorts(text)
		if err == nil && first > last {
			t.Fatalf("%q is %d to %d", text, first, last)
		}
	})
}
