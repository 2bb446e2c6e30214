package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/explain"
)

// maxBody bounds the body of a create, in bytes.
const maxBody = 8 << 20

func explainCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "explain {CONTAINER | -f FILE [--name NAME]}",
		Short: "Tell which plugin changed what of a container, and when",
		Long: `Explain asks a running daemon what plugins did to a container, of Docker's API
by name or id, of a pod by id: which plugin, in which hook, changed which field
from what to what.

With --file it tells what plugins would do to a container that were made from
the body of a create request, and makes nothing. Its exit status is 1 if the
create would fail.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (q.file != "") {
				return errors.New("give a container, or the body of a create with --file")
			}
			return does(func(cmd *cobra.Command) error { return q.ask(cmd, args) })(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&q.host, "host", "H", config.Default().Hosts[0], "the daemon's address, unix:///path or tcp://host:port")
	flags.StringVarP(&q.file, "file", "f", "", "file with the body of a create request, - for standard input")
	flags.StringVar(&q.name, "name", "", "with --file: the name that the container would have")
	flags.BoolVar(&q.json, "json", false, "print JSON")
	return cmd
}

// question is what to ask a daemon.
type question struct {
	host, file, name string
	json             bool
}

func (q *question) ask(cmd *cobra.Command, args []string) error {
	out := cmd.OutOrStdout()
	if q.file == "" {
		var e *explain.Explanation
		err := ask(cmd.Context(), q.host, http.MethodGet, "/pouchfx/explain/"+url.PathEscape(args[0]), nil, &e)
		if err != nil {
			return err
		}
		return q.show(out, e, e)
	}
	body, err := readBody(q.file, cmd.InOrStdin())
	if err != nil {
		return err
	}
	path := "/containers/create?" + url.Values{"dryRun": {"1"}, "name": {q.name}}.Encode()
	var tried explain.DryRun
	if err := ask(cmd.Context(), q.host, http.MethodPost, path, bytes.NewReader(body), &tried); err != nil {
		return err
	}
	if err := q.show(out, tried, tried.Explain); err != nil {
		return err
	}
	for _, w := range tried.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "demo-daemon: warning: %s\n", w)
	}
	if tried.Error != "" {
		return fmt.Errorf("it would not be made: %s", tried.Error)
	}
	return nil
}

// show prints an answer, or for people the explanation in it.
func (q *question) show(w io.Writer, answer any, e *explain.Explanation) error {
	if q.json {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(answer)
	}
	if e == nil {
		e = new(explain.Explanation)
	}
	return e.Write(w, coloured(w))
}

// coloured tells whether w is a terminal, and nobody wants it plain
// (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// readBody reads the body of a create and checks that it is an object.
func readBody(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%s: the body of a create is at most %d MiB", file, maxBody>>20)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, fmt.Errorf("%s: not the body of a create: %w", file, err)
	}
	return body, nil
}
