package otlp

import (
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// Module provides the telemetry.Exporter.
var Module = fx.Module("otlp", fx.Supply(telemetry.Exporter(Open)))
