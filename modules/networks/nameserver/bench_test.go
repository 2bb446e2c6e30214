package nameserver

import (
	"runtime"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

// BenchmarkServe starts and ends a server, and says what one that nobody asks
// keeps of the daemon.
func BenchmarkServe(b *testing.B) {
	n := netnstest.New(b)
	names := someNames()
	for b.Loop() {
		b.StopTimer()
		n = netnstest.New(b)
		b.StartTimer()
		s, err := Serve(n.Path(), Ports{}, names, zap.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	const many = 100
	held, goroutines := memory(), runtime.NumGoroutine()
	for range many {
		s, err := Serve(n.Path(), Ports{}, names, zap.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
	}
	b.ReportMetric(float64(memory()-held)/many, "bytes/server")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/many, "goroutines/server")
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func BenchmarkQuery(b *testing.B) {
	up := upstream(b, "127.0.0.1:0", says("far"))
	c := &container{Namespace: netnstest.New(b)}
	c.serve(b, Ports{}, someNames().ask(up))
	for _, name := range []string{"web.", "far.example."} {
		b.Run(name, func(b *testing.B) {
			if err := c.Do(func() error {
				client, err := dns.Dial("udp", "127.0.0.11:53")
				if err != nil {
					return err
				}
				defer client.Close()
				for b.Loop() {
					if err := client.WriteMsg(new(dns.Msg).SetQuestion(name, dns.TypeA)); err != nil {
						return err
					}
					if _, err := client.ReadMsg(); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
