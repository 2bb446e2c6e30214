package registry_test

import (
	"fmt"
	"testing"

	"github.com/pouchfx/pouchfx/modules/registry"
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

// typical is a body as compose sends it.
func typical() *types.ContainerCreateConfig {
	c := createConfig()
	c.Image, c.Cmd, c.Labels = "registry.example.com/shop/web:1.2.3", []string{"serve", "--port", "8080"}, map[string]string{}
	for i := range 20 {
		c.Env = append(c.Env, fmt.Sprintf("VARIABLE_%d=value of some length %d", i, i))
		c.Labels[fmt.Sprintf("com.docker.compose.label-%d", i)] = "a value"
	}
	c.HostConfig.Binds = []string{"/srv/data:/data", "/srv/config:/etc/config:ro"}
	return c
}

// recorded measures ten plugins with a recording operation; compare with the
// same without one (bare).
func recorded(b *testing.B, record bool, plugin func(i int) any) {
	var regs []*plugins.Registration
	for i := range links {
		regs = append(regs, reg(fmt.Sprintf("p%02d", i), plugin(i)))
	}
	c, config := containersOf(b, regs...), typical()
	b.ReportAllocs()
	for b.Loop() {
		ctx, own := b.Context(), *config
		if record {
			ctx, _ = registry.Begin(ctx)
		}
		if err := c.PreCreate(ctx, &own); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/links, "ns/plugin")
}

// What explain and conflicts add: recorded less bare, at most 5 µs for a
// plugin that changes nothing and 30 µs for one that changes something.
func BenchmarkExplain(b *testing.B) {
	for name, plugin := range map[string]func(int) any{
		"changing-nothing":   func(int) any { return plugins.ContainerBase{} },
		"changing-something": func(i int) any { return sets(fmt.Sprint("label", i), "1") },
	} {
		b.Run(name+"/bare", func(b *testing.B) { recorded(b, false, plugin) })
		b.Run(name+"/recorded", func(b *testing.B) { recorded(b, true, plugin) })
	}
}
