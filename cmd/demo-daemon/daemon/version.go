package daemon

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/modules/build"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			out, info := cmd.OutOrStdout(), build.Read()
			fmt.Fprintf(out, "demo-daemon %s\n", info.Version)
			if info.Revision != "" {
				fmt.Fprintf(out, "revision    %s of %s\n", info.Revision, info.Time)
			}
			fmt.Fprintf(out, "containerd  %s\n", moduleVersion("github.com/containerd/containerd/v2"))
			_, err := fmt.Fprintf(out, "go          %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		}),
	}
}

// moduleVersion returns the version of a module that is linked in.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}
