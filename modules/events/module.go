package events

import "go.uber.org/fx"

// Module provides the *Bus of the daemon.
var Module = fx.Module("events", fx.Provide(New))
