package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
)

// The exit statuses of all commands.
const (
	exitFailure = 1
	exitUsage   = 2
)

// exitStatus is the error of a command that has said all there is to say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// failure is the error of a command that ran. All others are cobra's, about
// the command line.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// run runs the command line of a daemon that can be each of the targets, and
// returns the exit status.
func run(targets []app.Target, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "demo-daemon",
		Short:         "A container daemon that plugins change",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(targets), pluginsCommand(targets), explainCommand(), healthCommand(), checkCommand(targets), graphCommand(targets), buildCommand(targets), versionCommand())
	root.AddCommand(moreCommands()...)

	command, err := root.ExecuteC()
	var status exitStatus
	var failed failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &failed):
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "demo-daemon: %s\n", strings.TrimSuffix(line, "\n"))
		}
		return exitFailure
	}
	fmt.Fprintf(stderr, "demo-daemon: %v\nSee '%s --help'.\n", err, command.CommandPath())
	return exitUsage
}

// does makes a command's function from f, and its errors failures.
func does(f func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		err := f(cmd)
		if err == nil {
			return nil
		}
		return failure{err}
	}
}

// settings are the flags that say which daemon a command is about.
type settings struct {
	targets      []app.Target
	target, file string
}

// addTo adds the flags to a command; with all, those of the configuration too.
func (s *settings) addTo(cmd *cobra.Command, all bool) {
	var names []string
	for _, t := range s.targets {
		names = append(names, t.Name)
	}
	flags := cmd.Flags()
	flags.StringVar(&s.target, "target", names[0], "which daemon to be: "+strings.Join(names, ", "))
	flags.StringVar(&s.file, "config-file", "", "configuration file (default "+config.DefaultFile+", if it is there)")
	if all {
		config.AddFlags(flags)
	}
}

// load returns the target and the configuration.
func (s *settings) load(cmd *cobra.Command) (app.Target, *config.Config, error) {
	for _, t := range s.targets {
		if t.Name == s.target {
			c, err := config.Load(s.file, os.Environ(), cmd.Flags())
			return t, c, err
		}
	}
	return app.Target{}, nil, fmt.Errorf("unknown target %q: see the flag --target of '%s --help'", s.target, cmd.CommandPath())
}
