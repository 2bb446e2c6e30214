package daemon

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
)

func checkCommand(targets []app.Target) *cobra.Command {
	s := settings{targets: targets}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and how the daemon fits together, and start nothing",
		Long: `Check reads the configuration as serve does, with the same flags, and reports all
that is wrong with it and with the target: unknown keys, plugins of one name,
what is missing, cycles. No constructor runs. It prints the order in which the
plugins of each kind are called.`,
		Args: cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			t, c, err := s.load(cmd)
			if err != nil {
				return err
			}
			report, err := app.Check(t, c)
			if err = errors.Join(report.Write(cmd.OutOrStdout()), err); err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "all is well")
			}
			return err
		}),
	}
	s.addTo(cmd, true)
	return cmd
}

func graphCommand(targets []app.Target) *cobra.Command {
	s := settings{targets: targets}
	var format string
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw what the daemon is made of and who needs whom",
		Args:  cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			t, c, err := s.load(cmd)
			if err != nil {
				return err
			}
			drawing, err := app.Graph(t, c, format)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), drawing)
			return err
		}),
	}
	s.addTo(cmd, false)
	cmd.Flags().StringVar(&format, "format", "dot", "dot, for Graphviz, or mermaid")
	return cmd
}
