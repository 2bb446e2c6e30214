package registry_test

import (
	"fmt"
	"testing"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

const links = 10

func noopChain(b *testing.B) plugins.ContainerPlugin {
	var regs []*plugins.Registration
	for i := range links {
		regs = append(regs, reg(fmt.Sprintf("p%02d", i), plugins.ContainerBase{}))
	}
	return containersOf(b, regs...)
}

// The guards alone: PostUpdate has next to nothing to copy.
func BenchmarkChainOf10(b *testing.B) {
	c := noopChain(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.PostUpdate(b.Context(), "/", nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/links, "ns/plugin")
}

// With the copies: see BenchmarkCopyOfATypicalCreateConfig for a bigger one.
func BenchmarkChainOf10WithTheSmallestCreateConfig(b *testing.B) {
	c, config := noopChain(b), createConfig()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.PreCreate(b.Context(), config); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/links, "ns/plugin")
}

// What the guards are to be compared with.
func BenchmarkBareInterfaceCallsOf10(b *testing.B) {
	var bare [links]plugins.ContainerPlugin
	for i := range bare {
		bare[i] = plugins.ContainerBase{}
	}
	config := &types.ContainerCreateConfig{}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range bare {
			if err := p.PreCreate(b.Context(), config); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/links, "ns/plugin")
}
