package patch_test

import (
	"fmt"
	"testing"

	"github.com/pouchfx/pouchfx/modules/registry/patch"
	"github.com/pouchfx/pouchfx/types"
)

// typical is a body as compose sends it.
func typical() *types.ContainerCreateConfig {
	c := config()
	for i := range 20 {
		c.Env = append(c.Env, fmt.Sprintf("VARIABLE_%d=value of some length %d", i, i))
		c.Labels[fmt.Sprintf("com.docker.compose.label-%d", i)] = "a value"
	}
	return c
}

func benchmark(b *testing.B, change func(*types.ContainerCreateConfig)) {
	before, after := typical(), typical()
	change(after)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.Values(before, after); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNothingChanged(b *testing.B) {
	benchmark(b, func(*types.ContainerCreateConfig) {})
}

func BenchmarkAFewFieldsChanged(b *testing.B) {
	benchmark(b, func(c *types.ContainerCreateConfig) {
		c.HostConfig.Memory = 1 << 30
		c.Env = append(c.Env, "ADDED=1")
		c.Labels["added"] = "1"
	})
}
