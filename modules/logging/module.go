package logging

import "go.uber.org/fx"

// Module provides the daemon's *zap.Logger from its *config.Config.
var Module = fx.Module("logging", fx.Provide(New))
