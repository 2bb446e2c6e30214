package networks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	// cniTimeout bounds one run of a CNI program.
	cniTimeout = 30 * time.Second
	// maxAnswer bounds what a program may answer.
	maxAnswer = 1 << 20
)

// attachment is one interface of one container, as CNI sees it.
type attachment struct {
	container, netns, ifname string
	config                   []byte
	args                     [][2]string
}

// add plugs a container in.
func (p *programs) add(ctx context.Context, a attachment) (*current.Result, error) {
	path, err := p.find(programBridge)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cniTimeout)
	defer cancel()
	result, err := invoke.ExecPluginWithResult(ctx, path, a.config, p.environment("ADD", a), &executor{lock: p.lock})
	if err != nil {
		return nil, fmt.Errorf("CNI program %s: %w", programBridge, err)
	}
	return current.NewResultFromResult(result)
}

// del unplugs it; what is not there any more is no error. Without a namespace
// it gives the address back.
func (p *programs) del(ctx context.Context, a attachment) error {
	path, err := p.find(programBridge)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cniTimeout)
	defer cancel()
	if err := invoke.ExecPluginWithoutResult(ctx, path, a.config, p.environment("DEL", a), &executor{lock: p.lock}); err != nil {
		return fmt.Errorf("CNI program %s: %w", programBridge, err)
	}
	return nil
}

func (p *programs) environment(command string, a attachment) invoke.CNIArgs {
	return &invoke.Args{Command: command, ContainerID: a.container, NetNS: a.netns, IfName: a.ifname, PluginArgs: a.args,
		Path: strings.Join(p.dirs, string(os.PathListSeparator))}
}

// executor runs CNI programs. Unlike the library's it hands on nothing of the
// daemon's environment, where secrets may be, and waits for nobody for ever.
type executor struct {
	version.PluginDecoder
	lock *os.File
}

// FindInPath belongs to the interface; programs are found before.
func (*executor) FindInPath(string, []string) (string, error) { return "", errors.ErrUnsupported }

// ExecPlugin runs a program.
func (e *executor) ExecPlugin(ctx context.Context, path string, stdin []byte, environment []string) ([]byte, error) {
	var stdout, stderr limitedBuffer
	cmd := exec.CommandContext(ctx, path)
	// The programs are in Go and live for milliseconds, in which they need
	// neither more threads nor the garbage collector.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1", "GOGC=off"}
	for _, variable := range environment {
		if strings.HasPrefix(variable, "CNI_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	cmd.ExtraFiles = []*os.File{e.lock}
	// A program starts another one: they end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, cniError(err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// cniError is what a program said of its failure.
func cniError(err error, stdout, stderr []byte) error {
	var said types.Error
	if json.Unmarshal(stdout, &said) == nil && said.Msg != "" {
		return &said
	}
	if text := strings.TrimSpace(string(stderr) + string(stdout)); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// limitedBuffer keeps what a program writes, up to maxAnswer bytes.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, fmt.Errorf("more than %d bytes of output", maxAnswer)
	}
	return b.Buffer.Write(p)
}
