package networks

import (
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A restart of Debian's nftables.service flushes all rules of the host.
func TestContainersAreReachedAgainAfterTheHostsRulesWereFlushed(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	web := h.open("web", publishing("8080:80"))
	h.connect(web, "mynet")
	h.serve(web, "web", 80)
	require.Equal(t, "web", answer(t, "127.0.0.1:8080"))
	for _, when := range []string{"since a container was started", "since the daemon was restarted"} {
		flush := func() bool {
			c, err := nftables.New()
			require.NoError(t, err)
			c.FlushRuleset()
			require.NoError(t, c.Flush())
			for range 20 { // the watch begins a moment after the rest
				if time.Sleep(10 * time.Millisecond); answer(t, "127.0.0.1:8080") == "web" {
					return true
				}
			}
			return false
		}
		assert.Eventually(t, flush, 5*time.Second, time.Millisecond, when)
		h.end()
		h.begin()
	}
	assert.Equal(t, "web", answer(t, "127.0.0.1:8080"))
}
