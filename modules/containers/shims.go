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
	if s.Bundles == "" {
		return
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(0) // what was read before an error counts
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		target, err := os.Readlink(procPath(pid, "cwd"))
		if err != nil { // it has ended
			continue
		}
		bundle, gone := strings.CutSuffix(target, " (deleted)")
		if !gone || filepath.Dir(bundle) != s.Bundles {
			continue
		}
		s.Log.Warn("ending the shim of a container that the last daemon was starting",
			zap.String("container", filepath.Base(bundle)), zap.Int("pid", pid))
		s.note("shim", filepath.Base(bundle), unix.Kill(pid, unix.SIGKILL))
	}
}
