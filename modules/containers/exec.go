package containers

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// execKept is how long an execution that ended can still be asked about.
const execKept = 5 * time.Minute

// execution is one further process of a container.
type execution struct {
	id     string
	c      *ctr
	config container.ExecCreateRequest

	mu       sync.Mutex
	started  bool
	running  bool
	pid      int
	exitCode *int
	ended    time.Time
	process  client.Process
	ready    chan struct{} // closed when the process runs, or never will
}

// ExecCreate prepares a further process in a container that runs, and returns
// its id. ExecStart starts it.
func (s *Service) ExecCreate(ctx context.Context, name string, o container.ExecCreateRequest) (string, error) {
	c, err := s.index.get(name)
	if err != nil {
		return "", err
	}
	if len(o.Cmd) == 0 {
		return "", invalid("No exec command specified")
	}
	for _, text := range slices.Concat(o.Cmd, o.Env, []string{o.User, o.WorkingDir}) {
		if strings.ContainsRune(text, 0) {
			return "", invalid("%q contains a NUL", text)
		}
	}
	if o.DetachKeys != "" {
		if _, err := stdio.Detachable(strings.NewReader(""), o.DetachKeys); err != nil {
			return "", err
		}
	}
	if err := c.executable(name); err != nil {
		return "", err
	}
	e := &execution{id: newID(), c: c, config: o, ready: make(chan struct{})}
	c.mu.Lock()
	for id, old := range c.execs {
		if old.forgotten() {
			delete(c.execs, id)
			s.execs.Delete(id)
		}
	}
	c.execs[e.id] = e
	c.mu.Unlock()
	s.execs.Store(e.id, e)
	s.publish(c, eventtypes.Action("exec_create: "+strings.Join(o.Cmd, " ")), "execID", e.id)
	return e.id, nil
}

// executable reports why a container can have no further process. Docker names
// one that is paused as it was asked for.
func (c *ctr) executable(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.run == nil:
		return conflict("container %s is not running", c.id)
	case c.paused:
		return conflict("Container %s is paused, unpause the container before exec", name)
	}
	return nil
}

func (e *execution) forgotten() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.ended.IsZero() && time.Since(e.ended) > execKept
}

// findExec returns an execution that is not forgotten.
func (s *Service) findExec(id string) (*execution, error) {
	if e, ok := s.execs.Load(id); ok && !e.(*execution).forgotten() {
		return e.(*execution), nil
	}
	return nil, notFound("No such exec instance: %s", id)
}

// ExecTTY tells whether an execution has a terminal.
func (s *Service) ExecTTY(id string) (bool, error) {
	e, err := s.findExec(id)
	if err != nil {
		return false, err
	}
	return e.config.Tty, nil
}

// ExecInspect describes an execution.
func (s *Service) ExecInspect(_ context.Context, id string) (*container.ExecInspectResponse, error) {
	e, err := s.findExec(id)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.config
	return &container.ExecInspectResponse{
		ID: e.id, ContainerID: e.c.id, Running: e.running, ExitCode: e.exitCode, Pid: e.pid, CanRemove: e.exitCode != nil,
		OpenStdin: o.AttachStdin, OpenStdout: o.AttachStdout, OpenStderr: o.AttachStderr, DetachKeys: []byte(o.DetachKeys),
		ProcessConfig: &container.ExecProcessConfig{
			Tty: o.Tty, Entrypoint: o.Cmd[0], Arguments: o.Cmd[1:], Privileged: &o.Privileged, User: o.User,
		},
	}, nil
}

// ExecResize gives an execution's terminal another size. It waits for the
// process: clients resize as soon as they have started it.
func (s *Service) ExecResize(ctx context.Context, id string, h, w uint32) error {
	e, err := s.findExec(id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	select {
	case <-e.ready:
	case <-ctx.Done():
		return conflict("exec process is not started")
	}
	e.mu.Lock()
	process, running := e.process, e.running
	e.mu.Unlock()
	if !running {
		return conflict("exec process is not running")
	}
	err = process.Resize(ctx, w, h)
	if err != nil && contains(err.Error(), "cannot resize a stopped") { // it has just ended
		return conflict("exec process is not running")
	}
	return err
}

// execProcess is the specification of a further process: the container's own,
// as it was started, with what the request changes.
func (s *Service) execProcess(ctx context.Context, e *execution, r *run) (*specs.Process, error) {
	spec, err := r.task.Spec(ctx)
	if err != nil {
		return nil, err
	}
	o, p := e.config, *spec.Process
	p.Args, p.Terminal, p.CommandLine = o.Cmd, o.Tty, ""
	p.ConsoleSize = nil
	if c := o.ConsoleSize; o.Tty && c != nil && c[0] > 0 && c[1] > 0 {
		p.ConsoleSize = &specs.Box{Height: c[0], Width: c[1]}
	}
	if o.WorkingDir != "" {
		p.Cwd = o.WorkingDir
	}
	if o.Tty {
		p.Env = ocispec.MergeEnv([]string{"TERM=xterm"}, p.Env)
	}
	p.Env = ocispec.MergeEnv(p.Env, o.Env)
	if o.User != "" {
		umask := p.User.Umask
		if p.User, err = ocispec.ResolveUser(procPath(r.pid, "root"), o.User, e.c.record().HostConfig.GroupAdd); err != nil {
			return nil, err
		}
		p.User.Umask = umask
	}
	h := &e.c.record().HostConfig
	caps, err := ocispec.Capabilities(h.Privileged || o.Privileged, h.CapAdd, h.CapDrop)
	if err != nil {
		return nil, err
	}
	p.Capabilities = ocispec.ProcessCapabilities(caps, p.User.UID)
	if o.Privileged && p.ApparmorProfile != "" {
		p.ApparmorProfile = "unconfined"
	}
	return &p, nil
}

// execError gives what the runtime said about an execution Docker's words.
func execError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := runtimeMessage(err)
	if !strings.HasPrefix(text, "OCI runtime exec failed") {
		text = "OCI runtime exec failed: " + text
	}
	if exitCodeOf(err) != exitCodeUnknown {
		return invalid("%s", text)
	}
	return errors.New(text)
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
