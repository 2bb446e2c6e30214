package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var record = flag.Bool("record", false, "write what dockerd has the docker command print, instead of comparing with it")

const everyday = "testdata/everyday.txt"

// TestEverydayCommands compares what the docker command prints for everyday
// commands with what it prints with Docker's own daemon.
func TestEverydayCommands(t *testing.T) {
	script, err := os.ReadFile(everyday)
	require.NoError(t, err)
	if *record {
		d := dockerDaemon(t)
		c := dockerCLI(t, d)
		d.load(t, "box:latest")
		var out strings.Builder
		for _, s := range steps(string(script)) {
			out.WriteString(s.before)
			fmt.Fprintf(&out, "$ %s\n%s", s.command, c.transcript(s.command))
		}
		require.NoError(t, os.WriteFile(everyday, []byte(out.String()), 0o644))
		return
	}
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	c := dockerCLI(t, d)
	for _, s := range steps(string(script)) {
		got := c.transcript(s.command)
		assert.True(t, says(got, s.output), "$ %s\nwith Docker's own daemon prints\n%swith this one\n%s", s.command, s.output, got)
	}
}

// says reports whether each line is Docker's, or Docker's and then more. What
// Docker changes most from version to version is upper case.
func says(got, docker string) bool {
	ours, theirs := strings.Split(got, "\n"), strings.Split(docker, "\n")
	for i := range theirs {
		if len(ours) != len(theirs) || !strings.HasPrefix(strings.ToLower(ours[i]), strings.ToLower(theirs[i])) {
			return false
		}
	}
	return true
}

// step is a command, what comes before it in the script, and its output.
type step struct{ before, command, output string }

func steps(script string) (all []step) {
	var before strings.Builder
	for line := range strings.Lines(script) {
		switch command, found := strings.CutPrefix(line, "$ "); {
		case found:
			all = append(all, step{before: before.String(), command: strings.TrimSpace(command)})
			before.Reset()
		case len(all) == 0 || line == "\n" || before.Len() > 0 || strings.HasPrefix(line, "# "):
			before.WriteString(line)
		default:
			all[len(all)-1].output += line
		}
	}
	return all
}

// transcript runs a line of shell and returns what it prints, without what
// differs from run to run and among versions of the docker command.
func (c cli) transcript(line string) string {
	c.t.Helper()
	c.program = "sh"
	cmd, cancel := c.command("-c", line)
	defer cancel()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !assert.ErrorAs(c.t, err, &exit) {
		return ""
	}
	text := string(out)
	for _, r := range replacements {
		text = r.pattern.ReplaceAllString(text, r.with)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if exit != nil {
		text += fmt.Sprintf("[status %d]\n", exit.ExitCode())
	}
	return text
}

var replacements = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\r`), ""},
	{regexp.MustCompile(`(?m)^(Run|See) 'docker .*--help'.*\n`), ""}, // whichever the docker command is
	{regexp.MustCompile(`(?m)^(exit status 1|time=.* msg="error waiting for container: .*)\n`), ""},
	{regexp.MustCompile(`(?m)^(docker: .*)\.$`), "$1"},
	{regexp.MustCompile(`(?m)^Error: No such`), "Error response from daemon: No such"},
	{regexp.MustCompile(`\n\n+`), "\n"},
	{regexp.MustCompile(`(failed to create|OCI runtime|exec failed).*: exec:`), "… exec:"}, // containerd's and runc's words
	{regexp.MustCompile(`(?m): unknown$`), ""},
	{regexp.MustCompile(`(failed to set up container networking|invalid pool request|invalid config for network \S+): `), ""}, // Docker's, in later versions
	{regexp.MustCompile(`invalid endpoint settings:\n`), ""},
	{regexp.MustCompile(`(?i)invalid address 10.78.0.9: It does not belong to any of this network's subnets`), "no configured subnet contains IP address 10.78.0.9"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:ID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`(Less than a second|About a minute|\d+ (seconds?|minutes?))( ago)?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIMESTAMP"},
	{regexp.MustCompile(`(?m) {2,}`), " "},
	{regexp.MustCompile(`(?m) +$`), ""},
}
