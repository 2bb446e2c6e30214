package daemon

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/plugins"
)

func serveCommand(targets []app.Target) *cobra.Command {
	s := settings{targets: targets}
	var timeline string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Args:  cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			t, c, err := s.load(cmd)
			if err != nil {
				return err
			}
			if err := knownPlugins(t, c); err != nil {
				return err
			}
			record := lifecycle.NewTimeline()
			status := app.Run(cmd.Context(), t, c, app.WithTimeline(record))
			if timeline != "" {
				if err := writeTimeline(timeline, record); err != nil {
					return err
				}
			}
			if status != 0 {
				return exitStatus(status)
			}
			return nil
		}),
	}
	s.addTo(cmd, true)
	cmd.Flags().StringVar(&timeline, "timeline-file", "", "file that gets, at the end, what was started and stopped in which order, as JSON")
	return cmd
}

// knownPlugins refuses sections of the configuration for plugins that the
// target does not have.
func knownPlugins(t app.Target, c *config.Config) error {
	var names []string
	for _, p := range t.Plugins {
		names = append(names, p.Name)
	}
	for _, r := range plugins.Registered() {
		names = append(names, r.Name)
	}
	return c.UnknownPlugins(names)
}

func writeTimeline(file string, record *lifecycle.Timeline) error {
	text, err := json.MarshalIndent(record.Entries(), "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot write the timeline: %w", err)
	}
	return nil
}
