package otlp

import (
	"testing"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlptest"
)

// What observing adds to each call of a hook where spans are sent.
func BenchmarkHookWithSpans(b *testing.B) {
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlptest.Start(b).URL)
	r := telemetry.New(Open, zap.NewNop())
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, end := r.Begin(b.Context(), "limits", "PreCreate")
		end(registry.OK, nil)
	}
	if err := r.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}
