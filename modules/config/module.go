package config

import (
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/plugins"
)

// Supply gives a daemon its configuration: *Config, and plugins.Settings for
// its plugins.
func Supply(c *Config) fx.Option {
	return fx.Module("config", fx.Supply(c, fx.Annotate(c, fx.As(new(plugins.Settings)))))
}
