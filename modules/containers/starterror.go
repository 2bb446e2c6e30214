package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
)

// startError gives what the runtime said about a start Docker's words and
// class: a client's mistake, such as a command that is not there, is not the
// daemon's failure. The docker CLI chooses its exit status by the text.
func startError(err error) error {
	text := "failed to create task for container: " + runtimeMessage(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the container did not start in time: %w", err)
	case contains(text, syscall.ENOTDIR.Error()):
		text += ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
	}
	if exitCodeOf(errors.New(text)) != exitCodeUnknown {
		return errdefs.ErrInvalidArgument.WithMessage(text)
	}
	return errdefs.ErrUnknown.WithMessage(text)
}

// runtimeMessage is what the runtime said, without what the layers between
// added behind it.
func runtimeMessage(err error) string {
	return strings.TrimSuffix(err.Error(), ": unknown")
}

// exitCodeUnknown is the status of a container that could not be started for
// a reason of which the shell knows nothing.
const exitCodeUnknown = 128

// exitCannotRun is the status of a command that is there and cannot be run.
const exitCannotRun = 126

// exitCodeOf is the status that a shell would give: 126 for a command that
// cannot be run, 127 for one that is not there.
func exitCodeOf(err error) int {
	text := err.Error()
	switch {
	case contains(text, syscall.EACCES.Error()), contains(text, syscall.EISDIR.Error()):
		return exitCannotRun
	case contains(text, "executable file not found"), contains(text, syscall.ENOENT.Error()), contains(text, syscall.ENOTDIR.Error()):
		return 127
	}
	return exitCodeUnknown
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
