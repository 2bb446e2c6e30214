package nri

import "github.com/pouchfx/pouchfx/plugins"

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("nri", New, plugins.WhenConfigured(), plugins.Defaults(Config{Socket: "/run/pouchfx/nri.sock"}))
