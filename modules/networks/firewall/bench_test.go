package firewall

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func BenchmarkRedirectDNS(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		n := netnstest.New(b)
		b.StartTimer()
		if err := RedirectDNS(n.Path(), 1, 2); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, there := range []int{1, 1000, 10000} {
		for _, protocol := range []string{"tcp", "udp"} {
			b.Run(fmt.Sprintf("%s/%d ports", protocol, there), func(b *testing.B) {
				h := newHost(b)
				a := h.network(1)
				table := newTable(b, a)
				require.NoError(b, table.Publish(ports(a, 1, there)))
				one := ports(a, 60000, 1)
				one[0].Protocol = protocol
				for b.Loop() {
					if table.Publish(one) != nil || table.Unpublish(one) != nil {
						b.Fatal("not published")
					}
				}
			})
		}
	}
}
