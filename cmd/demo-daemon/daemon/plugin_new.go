//go:build !minimal && !kube

package daemon

import (
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/scaffold"
	"github.com/pouchfx/pouchfx/plugins"
)

func pluginCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Write plugins"}
	cmd.AddCommand(pluginNewCommand())
	return cmd
}

func pluginNewCommand() *cobra.Command {
	var r scaffold.Request
	var kinds []string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a Go module with a plugin that builds and passes its tests",
		Long: `New writes a Go module with a plugin of one or more kinds, its tests and a README
into a new folder. It is a plugin at once:

  demo-daemon plugin new quota --kinds container
  cd quota && go test ./...

Its hooks are the usual ones of their kinds, to be changed and removed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name the plugin, and nothing else: plugin new NAME")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Name = args[0]
			for _, k := range kinds {
				r.Kinds = append(r.Kinds, plugins.Kind(strings.TrimSpace(k)))
			}
			r.Version = publishedVersion()
			return does(func(cmd *cobra.Command) error {
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				dir, err := scaffold.Write(ctx, r)
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n\n  cd %s\n  go test ./...\n", dir, dir)
				}
				return err
			})(cmd, args)
		},
	}
	var names []string
	for _, k := range plugins.Kinds() {
		names = append(names, string(k))
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&kinds, "kinds", []string{string(plugins.KindContainer)}, "what it changes: "+strings.Join(names, ", "))
	flags.BoolVar(&r.Tidy, "tidy", true, "have the go command choose the versions of modules, which may take the network")
	flags.StringVar(&r.Module, "module", "", "path of the Go module (default example.com/plugins/NAME)")
	flags.StringVar(&r.Dir, "dir", "", "the folder to make (default NAME)")
	flags.StringArrayVar(&r.Replace, "replace", nil, "take a module from elsewhere, old=new as in a go.mod; may be repeated")
	return cmd
}
