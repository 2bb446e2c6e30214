package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
)

// inside asks a process in the container what it sees, until it sees what is
// awaited; nil awaits nothing.
func (s *story) inside(ctx context.Context, awaited func(facts.Facts) bool) (facts.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		seen, err := s.look(ctx)
		if err != nil || awaited == nil || awaited(seen) {
			return seen, err
		}
		if ctx.Err() != nil {
			return seen, errors.New("the container does not get ready")
		}
	}
}

// look runs the guest's report in the container.
func (s *story) look(ctx context.Context) (seen facts.Facts, err error) {
	created, err := s.daemon.ExecCreate(ctx, containerName, client.ExecCreateOptions{
		Cmd: []string{"/guest", "report", containerName}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return seen, fmt.Errorf("cannot look inside: %w", err)
	}
	attached, err := s.daemon.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return seen, fmt.Errorf("cannot look inside: %w", err)
	}
	defer attached.Close()
	// The connection knows no context.
	defer context.AfterFunc(ctx, attached.Close)()
	var stdout, stderr bytes.Buffer
	if _, err := stdcopy.StdCopy(&stdout, &stderr, attached.Reader); err != nil {
		return seen, fmt.Errorf("cannot look inside: %w", err)
	}
	if err := json.Unmarshal(stdout.Bytes(), &seen); err != nil {
		return seen, fmt.Errorf("cannot look inside: %w: %s%s", err, &stdout, &stderr)
	}
	return seen, nil
}
