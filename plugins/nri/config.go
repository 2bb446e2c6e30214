package nri

import (
	"fmt"
	"path/filepath"

	"github.com/pouchfx/pouchfx/plugins/when"
)

// Config is the section plugins.nri of the configuration file.
type Config struct {
	// Socket is where NRI plugins register that are started by others.
	Socket string `yaml:"socket"`
	// PluginPath is a folder of NRI plugins that are started with the daemon,
	// files such as 10-name; empty starts none.
	PluginPath string `yaml:"plugin-path"`
	// PluginConfigPath is a folder with their configurations, 10-name.conf or
	// name.conf.
	PluginConfigPath string `yaml:"plugin-config-path"`
	// Required are NRI plugins, "name" or "10-name", without which no container
	// is made.
	Required []string `yaml:"required"`
	// Hooks are patterns of the programs that NRI plugins may have run on the
	// host, as root, when a container starts; empty allows none.
	Hooks []*when.Pattern `yaml:"hooks"`
}

// Validate reports what cannot be.
func (c Config) Validate() error {
	for key, path := range map[string]string{"socket": c.Socket, "plugin-path": c.PluginPath, "plugin-config-path": c.PluginConfigPath} {
		if path != "" && !filepath.IsAbs(path) || path == "" && key == "socket" {
			return fmt.Errorf("%s %q: write an absolute path", key, path)
		}
	}
	return nil
}
