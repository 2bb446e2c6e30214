package containers

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A start is written down in the container's record before there is a process,
// so that none runs unknown. Until there is one, a note beside the pipes holds
// the state from before: a daemon that was killed on the way there can tell a
// container that never ran from one whose end nobody saw. The note needs not
// outlive a reboot and costs no wait for the disk.

func (s *Service) startNote(id string) string { return filepath.Join(s.execDir(id), "starting") }

// noteStart makes the container's directory for the time it runs, with a note
// that it is about to be started.
func (s *Service) noteStart(id string, before state) error {
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.execDir(id), 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.startNote(id), text, 0o600)
}

// forgetStart removes the note: the process runs, or everything is as before.
func (s *Service) forgetStart(id string) error {
	if err := os.Remove(s.startNote(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// interruptedStart returns the state from before a start of which it is not
// certain that it came as far as a process.
func (s *Service) interruptedStart(id string) (before state, ok bool) {
	text, err := os.ReadFile(s.startNote(id))
	if err != nil {
		return before, false
	}
	return before, json.Unmarshal(text, &before) == nil
}
