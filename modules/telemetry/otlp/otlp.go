// Package otlp sends the daemon's spans to a collector, with OTLP over HTTP,
// where OpenTelemetry's environment variables say so:
//
//   - OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or
//     OTEL_TRACES_EXPORTER=otlp with a collector on this machine, has them
//     sent; OTEL_TRACES_EXPORTER=none and OTEL_SDK_DISABLED=true have not;
//   - OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER*, OTEL_BSP_*, OTEL_SERVICE_NAME
//     and OTEL_RESOURCE_ATTRIBUTES are as the SDK has them.
//
// What cannot be done is said in the log and nothing is sent, as OpenTelemetry
// asks of programs: traces are no reason not to start.
//
// It is a package of its own because the SDK and the exporter add 0.7 MB to a
// binary.
package otlp

import (
	"cmp"
	"context"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/build"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// Open opens the exporter that the environment asks for; nil for none.
func Open(ctx context.Context, log *zap.Logger) (telemetry.Spans, error) {
	if !wanted(os.Getenv, log) {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		log.Warn("no traces are sent", zap.Error(err))
		return nil, nil
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "pouchfx"), attribute.String("service.version", build.Read().Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil { // of one part; the others are there
		log.Warn("traces do not say all that they should about this machine", zap.Error(err))
	}
	life, end := context.WithCancel(context.Background())
	out := &sender{SpanExporter: exporter, life: life, log: log}
	log.Info("traces are sent with OTLP")
	return &provider{sdk.NewTracerProvider(sdk.WithBatcher(out), sdk.WithResource(about)), end}, nil
}

// wanted reads the variables that say whether, and with what, to send.
func wanted(env func(string) string, log *zap.Logger) bool {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch exporter := env("OTEL_TRACES_EXPORTER"); exporter {
	case "otlp":
	case "":
		if env("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false
		}
	case "none":
		return false
	default:
		log.Warn("no traces are sent: use otlp or none", zap.String("OTEL_TRACES_EXPORTER", exporter))
		return false
	}
	protocol := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), env("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if !strings.HasPrefix(protocol, "http/") {
		log.Warn("no traces are sent: use http/protobuf, which collectors take at port 4318", zap.String("OTEL_EXPORTER_OTLP_PROTOCOL", protocol))
		return false
	}
	return true
}

// provider ends what is being sent when the time to send the rest is over.
type provider struct {
	*sdk.TracerProvider
	end context.CancelFunc
}

func (p *provider) Shutdown(ctx context.Context) error {
	defer p.end()
	return p.TracerProvider.Shutdown(ctx)
}

// sender tells of a collector that does not take spans, once until it does.
// Elsewhere the SDK would tell of each time, past the log.
type sender struct {
	sdk.SpanExporter
	life   context.Context
	log    *zap.Logger
	failed atomic.Bool
}

func (s *sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err := s.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !s.failed.Swap(true):
		s.log.Warn("traces are lost: the collector does not take them", zap.Error(err))
	case !failed && s.failed.Swap(false):
		s.log.Info("the collector takes traces again")
	}
	return nil
}
