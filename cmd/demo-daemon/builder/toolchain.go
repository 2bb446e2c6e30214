package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// toolchain is the go command, in an environment of our choice.
type toolchain struct {
	path    string
	version string // "go1.26.8"
	proxy   string // where it gets modules from
	env     []string
}

// kept are the settings of go that say where modules come from and where go
// keeps what it got and made. They may be set in the environment or with
// `go env -w`. All others could change the bytes that go makes.
var kept = []string{
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS", "GOMODCACHE", "GOCACHE", "GOTMPDIR",
}

// findGo finds the go command. It works in dir, where there is no module yet.
func findGo(ctx context.Context, dir string) (*toolchain, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("there is no go command on PATH, and building needs one: install %s or newer from https://go.dev/dl", runtime.Version())
	}
	t := &toolchain{path: path}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GO") && !strings.HasPrefix(v, "CGO_") {
			t.env = append(t.env, v)
		}
	}
	// What is not set here is set in the user's own environment, which this
	// one call sees.
	asked := &toolchain{path: path, env: append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off")}
	out, err := asked.run(ctx, dir, append([]string{"env", "-json", "GOVERSION"}, kept...)...)
	if err != nil {
		return nil, err
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	t.version, t.proxy = settings["GOVERSION"], settings["GOPROXY"]
	for _, name := range kept {
		if v := settings[name]; v != "" {
			t.env = append(t.env, name+"="+v)
		}
	}
	t.env = append(t.env, "GOENV=off", "GOWORK=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "CGO_ENABLED=0")
	return t, nil
}

// language is the version of Go as a go.mod has it.
func (t *toolchain) language() string {
	return strings.TrimPrefix(regexp.MustCompile(`^go[0-9]+(\.[0-9]+)*`).FindString(t.version), "go")
}

// run runs a go command and returns its standard output. The error has what it
// said.
func (t *toolchain) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Dir, cmd.Env = dir, t.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its compilers
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, &goError{command: "go " + args[0], said: said(stderr.String()), proxy: t.proxy, err: err}
	}
	return stdout.Bytes(), nil
}

// said is what go wrote less what it tells of its progress.
func said(stderr string) string {
	var lines []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimRight(line, "\n"); !strings.HasPrefix(line, "go: downloading ") && !strings.HasPrefix(line, "go: finding ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// goError is the failure of a go command.
type goError struct {
	command, said, proxy string
	err                  error
}

func (e *goError) Unwrap() error { return e.err }

func (e *goError) Error() string {
	text := e.command + ": " + e.said
	if e.said == "" {
		text = fmt.Sprintf("%s: %v", e.command, e.err)
	}
	unreachable, err := regexp.MatchString(`dial tcp|no such host|connection refused|network is unreachable|i/o timeout|TLS handshake|module lookup disabled`, e.said)
	if err == nil && unreachable {
		text += fmt.Sprintf("\ncannot reach where modules come from (GOPROXY=%s): see to the network, set GOPROXY, or use local folders", e.proxy)
	}
	return text
}

// isCompileError reports whether go build failed because of what it compiled,
// and returns its words.
func isCompileError(err error) (words string, ok bool) {
	var failed *goError
	if errors.As(err, &failed) && failed.command == "go build" {
		return failed.said, true
	}
	return "", false
}
