// Package logging makes the daemon's log: one line per event on standard
// error, with constant field names, and never a secret. What containerd and
// gRPC log inside this process goes through it too.
package logging

import (
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pouchfx/pouchfx/modules/config"
)

// New returns the daemon's logger, as the settings log-level and log-format
// say.
func New(c *config.Config) (*zap.Logger, error) {
	return build(c, zapcore.Lock(os.Stderr))
}

func build(c *config.Config, out zapcore.WriteSyncer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("log-level %q: use debug, info, warn or error", c.LogLevel)
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey = "time"
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch c.LogFormat {
	case "json":
		encoder = zapcore.NewJSONEncoder(encoding)
	case "text":
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoding.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(encoding)
	default:
		return nil, fmt.Errorf("log-format %q: use text or json", c.LogFormat)
	}
	// No stack traces: an error is an event here, not a bug.
	return zap.New(zapcore.NewCore(encoder, out, level), zap.AddStacktrace(zap.DPanicLevel)), nil
}
