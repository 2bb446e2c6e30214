package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/atomicfile"
	"github.com/containerd/containerd/v2/version"
	"go.uber.org/zap"
)

// Versions are what `docker version` shows of the engine.
type Versions struct {
	// Containerd and ContainerdRevision are those of the daemon in use.
	Containerd, ContainerdRevision string
	// Runc and RuncCommit are those of the runc in use.
	Runc, RuncCommit string
	// Seccomp tells whether that runc can confine system calls.
	Seccomp bool
}

// Versions asks containerd and runc. It fails when either does not answer.
func (e *Engine) Versions(ctx context.Context) (Versions, error) {
	v := Versions{Containerd: version.Version, ContainerdRevision: version.Revision}
	if !e.Embedded() {
		remote, err := e.client.Version(ctx)
		if err != nil {
			return v, fmt.Errorf("version of %s: %w", e, err)
		}
		v.Containerd, v.ContainerdRevision = remote.Version, remote.Revision
	}
	v.Containerd = strings.TrimSuffix(v.Containerd, "+unknown") // as a library it does not know its commit
	r := e.features()
	if r.err != nil {
		return v, r.err
	}
	v.Runc = r.Annotations["org.opencontainers.runc.version"]
	v.RuncCommit = r.Annotations["org.opencontainers.runc.commit"]
	v.Seccomp = r.seccomp()
	return v, nil
}

// runcResult is what `runc features` said, as far as it matters here: to
// decode all of it costs every start of the daemon time and memory.
type runcResult struct {
	Annotations map[string]string `json:"annotations"`
	Linux       struct {
		Seccomp struct {
			Enabled bool `json:"enabled"`
		} `json:"seccomp"`
	} `json:"linux"`
	err error
}

func (r runcResult) seccomp() bool { return r.Linux.Seccomp.Enabled }

// inspectRunc learns what runc can do, beside the start, which does not depend
// on it.
func (e *Engine) inspectRunc(ctx context.Context) {
	var result runcResult
	done := make(chan struct{})
	e.features = func() runcResult { <-done; return result }
	e.running.Go(func() {
		defer close(done)
		result = rememberedFeatures(ctx, e.binaries)
		switch {
		case ctx.Err() != nil: // stopped
		case result.err != nil:
			e.log.Error("runc does not work: no container will start", zap.String("runc", e.binaries.runc), zap.Error(result.err))
		case !result.seccomp():
			e.log.Error("this runc has no seccomp: containers may make every system call; build it with libseccomp-dev installed, or install a runc that has it", zap.String("runc", e.binaries.runc))
		}
	})
}

// rememberedFeatures asks our own runc once and keeps the answer beside it;
// one from PATH may change.
func rememberedFeatures(ctx context.Context, b binaries) runcResult {
	if !b.ours {
		_, r := runcFeatures(ctx, b.runc)
		return r
	}
	answer := filepath.Join(filepath.Dir(b.runc), "features.json")
	if text, err := os.ReadFile(answer); err == nil {
		var r runcResult
		if json.Unmarshal(text, &r) == nil {
			return r
		}
	}
	text, r := runcFeatures(ctx, b.runc)
	if r.err != nil {
		return r
	}
	if f, err := atomicfile.New(answer, 0o600); err == nil {
		_, _ = f.Write(text)
		_ = f.Close() // what could not be kept is asked again
	}
	return r
}

// runcFeatures asks a runc.
func runcFeatures(ctx context.Context, runc string) (text []byte, r runcResult) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, runc, "features")
	cmd.Env = []string{}
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		r.err = fmt.Errorf("%s features: %w %s", runc, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return text, r
}
