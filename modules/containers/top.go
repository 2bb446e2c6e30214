package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
)

// Top lists the processes of a container as the host's ps shows them with
// psArgs; -ef when they are empty. Without a ps on the host it reads /proc.
func (s *Service) Top(ctx context.Context, name, psArgs string) (*container.TopResponse, error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, err
	}
	r := c.current()
	if r == nil {
		return nil, conflict("container %s is not running", c.id)
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	infos, err := r.task.Pids(ctx)
	if err != nil {
		if errdefs.IsNotFound(err) {
			return nil, conflict("container %s is not running", c.id)
		}
		return nil, err
	}
	var pids []int
	for _, i := range infos {
		pids = append(pids, int(i.Pid))
	}
	top, err := ps(ctx, psArgs, pids)
	if err == nil {
		s.publish(c, eventtypes.ActionTop)
	}
	return top, err
}

func ps(ctx context.Context, args string, pids []int) (*container.TopResponse, error) {
	words := strings.Fields(args)
	if len(words) == 0 {
		words = []string{"-ef"}
	}
	for _, w := range words { // a format that hides the pid would show other people's processes
		if strings.ContainsAny(w, "\x00") {
			return nil, invalid("invalid ps argument %q", w)
		}
	}
	cmd := exec.CommandContext(ctx, "ps", words...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/local/bin", "LC_ALL=C"}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return procTop(pids), nil
	case err != nil:
		return nil, invalid("ps %s: %v: %s", strings.Join(words, " "), err, strings.TrimSpace(complaint.String()))
	}
	return parsePS(string(text), pids)
}

// parsePS picks the processes of a container out of ps's output, as dockerd
// does: by the column PID.
func parsePS(text string, pids []int) (*container.TopResponse, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	top := &container.TopResponse{Titles: strings.Fields(lines[0]), Processes: [][]string{}}
	column := slices.Index(top.Titles, "PID")
	if column < 0 {
		return nil, invalid("Couldn't find PID field in ps output")
	}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil {
			return nil, fmt.Errorf("unexpected pid %q in ps output: %w", fields[column], err)
		}
		if !slices.Contains(pids, pid) {
			continue
		}
		if last := len(top.Titles) - 1; len(fields) > last { // a command has spaces
			fields = append(fields[:last:last], strings.Join(fields[last:], " "))
		}
		top.Processes = append(top.Processes, fields)
	}
	return top, nil
}
