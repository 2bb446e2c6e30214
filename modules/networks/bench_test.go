package networks

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkSandbox measures what a container's network costs, step by step.
func BenchmarkSandbox(b *testing.B) {
	h := newHouse(b)
	id := containerID("web")
	step := func(name string, prepare, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				require.NoError(b, prepare())
				b.StartTimer()
				require.NoError(b, f())
			}
		})
	}
	open := func() error { _, err := h.Open(b.Context(), Sandbox{Container: id, Name: "web"}); return err }
	connect := func() error { return h.Connect(b.Context(), id, endpointOn("bridge")) }
	closeIt := func() error { return h.Close(b.Context(), id) }
	step("Open", closeIt, open)
	step("Connect", func() error {
		if err := closeIt(); err != nil {
			return err
		}
		return open()
	}, connect)
	step("Close", func() error {
		if err := closeIt(); err != nil {
			return err
		}
		if err := open(); err != nil {
			return err
		}
		return connect()
	}, closeIt)
}

// BenchmarkStart measures how long a daemon takes that finds 200 containers.
func BenchmarkStart(b *testing.B) {
	h := newHouse(b)
	h.create("mynet")
	for i := range 200 {
		id := h.open(fmt.Sprint("c", i), publishing("80"))
		h.connect(id, "mynet")
	}
	for b.Loop() {
		b.StopTimer()
		h.kill()
		b.StartTimer()
		h.begin()
	}
}
