package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/cmd/demo-daemon/builder"
	containerd "github.com/pouchfx/pouchfx/modules/containerd/assets"
	networks "github.com/pouchfx/pouchfx/modules/networks/assets"
)

func buildCommand(targets []app.Target) *cobra.Command {
	var request builder.Request
	var timeout time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Make a daemon with other people's plugins",
		Long: `Build makes a daemon from a target and plugins: Go packages, from the module
proxy or from local folders, each with a variable Module of the type
*plugins.Provided. It needs the go command. The daemon is made of the version of
pouchfx that this one is made of, and carries the programs that this one carries.
The same request makes the same bytes.

  demo-daemon build --target minimal --plugin example.com/acme/quota@v1.2.3 \
    --plugin ./audit -o acme-daemon`,
		Args: cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not built within %v: see --timeout", timeout))
			defer cancel()
			request.Version, request.Programs, request.Progress = publishedVersion(), programs(), cmd.ErrOrStderr()
			report, err := builder.Build(ctx, request)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(report)
			}
			return report.Write(cmd.OutOrStdout())
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Target, "target", targets[0].Name, "which daemon to make: "+strings.Join(builder.Targets(), ", "))
	flags.StringArrayVar(&request.Plugins, "plugin", nil, "package@version or folder of a plugin; may be repeated")
	flags.StringArrayVar(&request.Replace, "replace", nil, "take a module from elsewhere, old=new as in a go.mod; may be repeated")
	flags.StringVarP(&request.Output, "output", "o", "", "the file to make")
	flags.DurationVar(&timeout, "timeout", 30*time.Minute, "how long it may take")
	flags.BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// publishedVersion returns the version of pouchfx that this binary is made of,
// as the module proxy knows it; empty when it is made of a working tree.
func publishedVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == builder.Module && m.Replace == nil && regexp.MustCompile(`^v[0-9][0-9A-Za-z.-]*$`).MatchString(m.Version) {
			return m.Version
		}
	}
	return ""
}

// programs returns those that this binary carries; none when it has to find
// them on the machine.
func programs() []builder.Program {
	if containerd.Runc == "" {
		return nil
	}
	const c, n = "modules/containerd/assets", "modules/networks/assets"
	return []builder.Program{
		{Package: c, Variable: "Runc", Content: containerd.Runc},
		{Package: c, Variable: "RuncDigest", Content: containerd.RuncDigest},
		{Package: c, Variable: "Shim", Content: containerd.Shim},
		{Package: c, Variable: "ShimDigest", Content: containerd.ShimDigest},
		{Package: c, Variable: "Pause", Content: containerd.Pause},
		{Package: n, Variable: "Programs", Content: networks.Programs},
		{Package: n, Variable: "Digest", Content: networks.Digest},
	}
}
