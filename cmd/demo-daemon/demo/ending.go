package demo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

// daemonStops stops the daemon and shows the order of its life.
func (s *story) daemonStops(context.Context) error {
	s.chapter("The daemon is told to stop")
	if err := s.daemon.stop(); err != nil {
		return err
	}
	text, _ := os.ReadFile(s.diary())
	s.claim(strings.Contains(string(text), "good night"), fmt.Sprintf("%s: %s", s.diary(), strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")),
		"diary wrote into its file in PreStopHook")

	entries, err := s.daemon.timeline()
	if err != nil {
		return fmt.Errorf("cannot read what was started and stopped: %w", err)
	}
	starts, stops := phase(entries, lifecycle.Start), phase(entries, lifecycle.Stop)
	s.say("It started in this order:")
	s.quote(table(starts))
	s.say("and stopped in this:")
	s.quote(table(stops))
	s.claim(follows(starts, "diary", "containerd.(*Engine)") && follows(stops, "containerd.(*Engine)", "diary"), "as above",
		"the daemon plugin came before the engine and went after it")
	return nil
}

func phase(entries []lifecycle.Entry, p lifecycle.Phase) []lifecycle.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e lifecycle.Entry) bool { return e.Phase != p })
}

// follows reports whether both are there, and one before the other.
func follows(entries []lifecycle.Entry, first, then string) bool {
	at := func(name string) int {
		return slices.IndexFunc(entries, func(e lifecycle.Entry) bool { return strings.Contains(e.Name, name) })
	}
	return at(first) >= 0 && at(first) < at(then)
}

func table(entries []lifecycle.Entry) string {
	var text strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&text, "%9.2f ms  %s\n", float64(e.Took.Microseconds())/1000, e.Name)
	}
	return text.String()
}

// clean ends what still runs and deletes the root. After the story there is
// only the root; it is safe to call again.
func (s *story) clean(root string) error {
	if d := s.daemon; d != nil {
		s.daemon = nil
		// Containers outlive their daemon. When all went well there is neither.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		_, _ = d.ContainerRemove(ctx, containerName, client.ContainerRemoveOptions{Force: true})
		cancel()
		_ = d.stop()
		_ = d.Close()
	}
	if err := endAll(root); err != nil {
		return err
	}
	return os.RemoveAll(root)
}
