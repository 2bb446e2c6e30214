package logging

import (
	"log/slog"
	"strings"

	"github.com/containerd/log"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zapgrpc"
	"google.golang.org/grpc/grpclog"
)

// Containerd sends what the containerd and gRPC libraries log to log, warnings
// and worse of the one and errors of the other only, unless log is at debug
// level.
//
// Both libraries have one log per process, so the last call holds for all
// engines of a process.
func Containerd(logger *zap.Logger) {
	level := zapcore.WarnLevel
	if logger.Core().Enabled(zapcore.DebugLevel) {
		level = zapcore.DebugLevel
	}
	core := quiet{logger.Core()}
	slog.SetDefault(slog.New(zapslog.NewHandler(core, zapslog.WithName("containerd"), zapslog.AddStacktraceAt(slog.LevelError+1000))))
	log.UseSlog()
	_ = log.SetLevel(level.String()) // a level that containerd knows
	// gRPC's info is other libraries' debug, each connection's every state, and
	// its warnings are every attempt to reach who is away.
	grpcLevel := zapcore.ErrorLevel
	if level == zapcore.DebugLevel {
		grpcLevel = zapcore.WarnLevel
	}
	grpclog.SetLoggerV2(zapgrpc.NewLogger(zap.New(core, zap.IncreaseLevel(grpcLevel)).Named("grpc")))
}

// harmless begins the messages that are nobody's concern: the end of a shim's
// log, for every container that ends well; and that the file system cannot
// seal files, which few can.
var harmless = []string{"copy shim log", "failed check for fsverity support"}

// quiet leaves out what is harmless.
type quiet struct{ zapcore.Core }

func (q quiet) With(fields []zapcore.Field) zapcore.Core { return quiet{q.Core.With(fields)} }

func (q quiet) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	for _, message := range harmless {
		if strings.HasPrefix(entry.Message, message) {
			return checked
		}
	}
	return q.Core.Check(entry, checked)
}
