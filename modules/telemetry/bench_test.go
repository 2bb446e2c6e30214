package telemetry

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
)

// What observing adds to each call of a hook where nobody wants spans.
func BenchmarkHookWithoutAnExporter(b *testing.B) {
	r := New(nil, zap.NewNop())
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, end := r.Begin(ctx, "limits", "PreCreate")
		end(registry.OK, nil)
	}
}

// The same for a hook that fails, on all processors at once.
func BenchmarkFailingHooksAtOnce(b *testing.B) {
	r := New(nil, zap.NewNop())
	refused := errors.New("refused")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, end := r.Begin(context.Background(), "limits", "PreCreate")
			end(registry.Error, refused)
		}
	})
}

// What each start pays for what may be counted.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(nil, zap.NewNop())
	}
}
