package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

func pluginsCommand(targets []app.Target) *cobra.Command {
	s := settings{targets: targets}
	var host string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "List the plugins in the order in which they are called",
		Long: `Plugins lists the plugins of the target, with the policies that the configuration
leaves them, and starts nothing. With --host it asks a daemon that is running.`,
		Args: cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			list, err := []registry.Info(nil), error(nil)
			if host != "" {
				list = []registry.Info{}
				err = ask(cmd.Context(), host, http.MethodGet, "/pouchfx/plugins", nil, &list)
			} else {
				list, err = s.plugins(cmd)
			}
			if err == nil || len(list) > 0 {
				err = errors.Join(err, writePlugins(cmd.OutOrStdout(), list, asJSON))
			}
			return err
		}),
	}
	s.addTo(cmd, false)
	cmd.Flags().StringVarP(&host, "host", "H", "", "ask the daemon at this address, unix:///path or tcp://host:port")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// plugins returns those of the target.
func (s *settings) plugins(cmd *cobra.Command) ([]registry.Info, error) {
	t, c, err := s.load(cmd)
	if err != nil {
		return nil, err
	}
	report, err := app.Check(t, c)
	for i := range report.Plugins {
		if p := &report.Plugins[i]; p.Status == registry.Running {
			p.Status = "enabled" // there is no daemon that it could run in
		}
	}
	return report.Plugins, err
}

func writePlugins(w io.Writer, list []registry.Info, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLUGIN\tKINDS\tPRIORITY\tORDER\tTIMEOUT\tON ERROR\tREQUIRED\tSTATUS")
	for _, p := range list {
		var kinds []string
		for _, k := range p.Kinds {
			kinds = append(kinds, string(k))
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%v\t%s\t%t\t%s\n",
			p.Name, strings.Join(kinds, ","), p.Policy.Priority, relations(p.Policy), p.Policy.Timeout, p.Policy.OnError, p.Policy.Required, state(p))
	}
	return table.Flush()
}

// relations says before and after whom a plugin comes, whatever the priorities.
func relations(p plugins.Policy) string {
	var all []string
	for _, name := range p.Before {
		all = append(all, "before "+name)
	}
	for _, name := range p.After {
		all = append(all, "after "+name)
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

// state says what became of a plugin, and how its circuit breaker is.
func state(p registry.Info) string {
	text := string(p.Status)
	if p.Error != "" {
		text += ": " + p.Error
	}
	switch b := p.Breaker; {
	case b == nil:
	case b.State == "open":
		text += " until " + b.Until.Local().Format(time.TimeOnly) + ": it kept failing"
	case b.State == "half-open":
		text += ": one call is to find out whether it works again"
	case b.Failures > 0:
		text += fmt.Sprintf(": %d failures in a row", b.Failures)
	}
	return text
}
