package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/registry"
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
				list, err = runningPlugins(cmd.Context(), host)
			} else {
				list, err = s.plugins(cmd)
			}
			if list != nil {
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

// runningPlugins asks a daemon. Certificates for tcp come from the environment
// as the docker command takes them.
func runningPlugins(ctx context.Context, host string) ([]registry.Info, error) {
	daemon, err := client.New(client.WithTLSClientConfigFromEnv(), client.WithHost(host))
	if err != nil {
		return nil, err
	}
	defer daemon.Close()
	web := http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return daemon.Dialer()(ctx)
		}},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/pouchfx/plugins", nil)
	if err != nil {
		return nil, err
	}
	res, err := web.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the daemon at %s: %w", host, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the daemon at %s answers %s", host, res.Status)
	}
	list := []registry.Info{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 4<<20)).Decode(&list); err != nil {
		return nil, fmt.Errorf("the daemon at %s gives no list of plugins: %w", host, err)
	}
	return list, nil
}

func writePlugins(w io.Writer, list []registry.Info, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLUGIN\tKINDS\tPRIORITY\tTIMEOUT\tON ERROR\tREQUIRED\tSTATUS")
	for _, p := range list {
		var kinds []string
		for _, k := range p.Kinds {
			kinds = append(kinds, string(k))
		}
		status := string(p.Status)
		if p.Error != "" {
			status += ": " + p.Error
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%v\t%s\t%t\t%s\n",
			p.Name, strings.Join(kinds, ","), p.Policy.Priority, p.Policy.Timeout, p.Policy.OnError, p.Policy.Required, status)
	}
	return table.Flush()
}
