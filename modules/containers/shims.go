package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// killLostShims ends the shims that a daemon was starting when it was killed:
// containerd removes their bundles and knows nothing of the processes. They
// are found by their working directory, a bundle of ours that is gone.
func (s *Service) killLostShims() {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || s.Bundles == "" {
		return
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil { // it has ended
			continue
		}
		bundle, gone := strings.CutSuffix(target, " (deleted)")
		if !gone || filepath.Dir(bundle) != s.Bundles {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			continue
		}
		s.Log.Warn("ending the shim of a container that the last daemon was starting",
			zap.String("container", filepath.Base(bundle)), zap.Int("pid", pid))
		s.note("shim", filepath.Base(bundle), unix.Kill(pid, unix.SIGKILL))
	}
}
