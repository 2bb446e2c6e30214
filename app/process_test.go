package app_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// roleVariable makes the test binary run a scenario instead of the tests.
const roleVariable = "APP_TEST_SCENARIO"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(scenarios[role]())
	}
	goleak.VerifyTestMain(m)
}

// process is the test binary running a scenario, which prints one line per
// thing that happens.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *bufio.Scanner
	lines  []string
	stderr bytes.Buffer
}

// prepare makes a process that runs a scenario.
func prepare(t *testing.T, scenario string, env ...string) *process {
	t.Helper()
	require.Contains(t, scenarios, scenario)
	p := &process{t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(append(os.Environ(), roleVariable+"="+scenario), env...)
	p.cmd.Stderr = &p.stderr
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(p.t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	p.out = bufio.NewScanner(out)
	require.NoError(p.t, p.cmd.Start())
	patience := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	p.t.Cleanup(func() { patience.Stop() })
	return p
}

func launch(t *testing.T, scenario string, env ...string) *process {
	t.Helper()
	return prepare(t, scenario, env...).start()
}

// await reads lines until the wanted one.
func (p *process) await(line string) *process {
	p.t.Helper()
	for p.out.Scan() {
		p.lines = append(p.lines, p.out.Text())
		if p.out.Text() == line {
			return p
		}
	}
	_ = p.cmd.Wait()
	require.Fail(p.t, "the process ended before it printed "+line, "%v\n%s", p.lines, p.stderr.String())
	return p
}

func (p *process) signal(s syscall.Signal) *process {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
	return p
}

// reply writes the line for which a scenario waits.
func (p *process) reply() *process {
	_, err := io.WriteString(p.stdin, "\n")
	require.NoError(p.t, err)
	return p
}

// ends waits for the end and checks the exit status, all lines, and what the
// log must say.
func (p *process) ends(status int, lines string, logged ...string) {
	p.t.Helper()
	for p.out.Scan() {
		p.lines = append(p.lines, p.out.Text())
	}
	_ = p.cmd.Wait()
	got := p.cmd.ProcessState.ExitCode()
	if s := p.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		assert.Fail(p.t, "killed by a signal", s.Signal().String())
	}
	assert.Equal(p.t, status, got, p.stderr.String())
	assert.Equal(p.t, strings.Fields(lines), append([]string{}, p.lines...), p.stderr.String())
	for _, text := range logged {
		assert.Contains(p.t, p.stderr.String(), text)
	}
}
