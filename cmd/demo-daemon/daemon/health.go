package daemon

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

func healthCommand() *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell whether a daemon works, and what is wrong with it",
		Long: `Health asks a running daemon how it is: ready, degraded, when it works without
some of its plugins, or failed. Its exit status is 1 if the daemon has failed or
does not answer.`,
		Args: cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			status, text, err := send(cmd.Context(), host, http.MethodGet, "/pouchfx/health", nil)
			if err != nil {
				return err
			}
			if status != http.StatusOK && status != http.StatusServiceUnavailable {
				return fmt.Errorf("the daemon at %s answers %d %s", host, status, http.StatusText(status))
			}
			var h telemetry.Health
			if err := decode(host, text, &h); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), h.Status)
			for _, r := range h.Reasons {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", r)
			}
			if status != http.StatusOK {
				return exitStatus(exitFailure)
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&host, "host", "H", config.Default().Hosts[0], "the daemon's address, unix:///path or tcp://host:port")
	return cmd
}
