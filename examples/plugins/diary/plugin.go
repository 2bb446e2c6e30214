// Package diary is an example of a daemon plugin: it writes into a file when
// the daemon starts and when it has stopped.
package diary

import (
	"fmt"
	"os"
	"time"

	"github.com/pouchfx/pouchfx/plugins"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("diary", New, plugins.Defaults(Config{File: "/var/log/pouchfx-diary"}))

// Config is the section plugins.diary of the configuration file.
type Config struct {
	// File gets a line for each start and each stop.
	File string `yaml:"file"`
}

// Plugin keeps the diary.
type Plugin struct{ config Config }

// New returns the plugin. It opens nothing: that is for the hooks.
func New(c Config) (*Plugin, error) { return &Plugin{c}, nil }

// PreStartHook runs before anything of the daemon's engine is started.
func (p *Plugin) PreStartHook() error { return p.write("good morning") }

// PreStopHook runs when all of it has stopped.
func (p *Plugin) PreStopHook() error { return p.write("good night") }

func (p *Plugin) write(entry string) error {
	f, err := os.OpenFile(p.config.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the diary: %w", err)
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s %s\n", time.Now().Format(time.RFC3339), entry)
	return err
}
