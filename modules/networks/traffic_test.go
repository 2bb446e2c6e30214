package networks

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// reach is what a container gets that connects to an address.
func (h *house) reach(id, address string) (text string) {
	h.t.Helper()
	h.inside(id, func() { text = answer(h.t, address) })
	return text
}

func TestWhoReachesWhom(t *testing.T) {
	h := newHouse(t)
	h.create("front")
	h.create("back")
	h.create("quiet", withOption(optionICC, "false"))
	h.create("inner", func(r *network.CreateRequest) { r.Internal = true })
	ids := map[string]string{}
	for name, on := range map[string]string{"f1": "front", "f2": "front", "b1": "back", "q1": "quiet", "q2": "quiet", "i1": "inner", "i2": "inner"} {
		ids[name] = h.open(name)
		h.connect(ids[name], on)
		h.serve(ids[name], name, 80)
	}
	published := h.open("published", publishing("8080:80"))
	h.connect(published, "back")
	h.serve(published, "published", 80)
	address := func(name, on string) string { return h.on(ids[name], on).IPAddress.String() + ":80" }
	host := h.on(ids["f1"], "front").Gateway.String() + ":8080"

	assert.Equal(t, "f2", h.reach(ids["f1"], address("f2", "front")), "a neighbour")
	assert.Equal(t, "i2", h.reach(ids["i1"], address("i2", "inner")), "a neighbour on an internal network")
	assert.Equal(t, "q1", answer(t, address("q1", "quiet")), "the host reaches all")
	assert.Equal(t, "i1", answer(t, address("i1", "inner")), "the host reaches all")
	assert.Equal(t, "published", h.reach(ids["f1"], host), "a published port of another network")
	assert.Equal(t, "published", h.reach(published, h.on(published, "back").Gateway.String()+":8080"), "itself, by the host's address")
	for who, whom := range map[string]string{"f1": address("b1", "back"), "b1": address("f1", "front"), "q1": address("q2", "quiet"), "i1": address("f1", "front"), "i2": host} {
		h.inside(ids[who], func() {
			assert.Empty(t, answerWithin(t, whom, 300*time.Millisecond), "%s must not reach %s", who, whom)
		})
	}
}

func TestADeviceThatSomebodyRemovedIsMadeAnewWithAllItsContainers(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", withOptionTo("br-mine"), func(r *network.CreateRequest) { r.Options[optionMTU] = "1400" })
	web := h.open("web", publishing("8080:80"))
	h.connect(web, "mynet")
	h.serve(web, "web", 80)
	h.inside(web, func() {
		link, err := netlink.LinkByName("eth0")
		require.NoError(t, err)
		assert.Equal(t, 1400, link.Attrs().MTU)
	})
	link, err := netlink.LinkByName("br-mine")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkDel(link))
	other := h.run("other", "mynet")
	assert.Equal(t, "web", h.reach(other, h.on(web, "mynet").IPAddress.String()+":80"))
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
}
