package sidecars

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// marker is the variable by which processes that a helper has started are
// known when their daemon was killed: the helper's name, and the daemon's
// process id and when it began.
const marker = "POUCHFX_SIDECAR"

// daemon is a process. The time, in ticks since boot, tells it from a later
// one of the same id.
type daemon struct {
	pid   int
	began uint64
}

// self is this process.
func self() (daemon, error) {
	began, err := beganAt("self")
	return daemon{os.Getpid(), began}, err
}

func (d daemon) mark(helper string) string {
	return fmt.Sprintf("%s=%s %d %d", marker, helper, d.pid, d.began)
}

// lives tells whether it still runs.
func (d daemon) lives() bool {
	began, err := beganAt(strconv.Itoa(d.pid))
	return err == nil && began == d.began
}

// beganAt reads the 22nd field of proc_pid_stat(5). The second may hold
// anything; what follows the last parenthesis begins with the third.
func beganAt(process string) (uint64, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", process, "stat"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%s/stat: too short", process)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// removeLeftovers kills what helpers of these names have started for daemons
// that are no more.
func removeLeftovers(names []string, log *zap.Logger) error {
	if len(names) == 0 {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := removeLeftover(pid, names, log); err != nil {
			return err
		}
	}
	return nil
}

func removeLeftover(pid int, names []string, log *zap.Logger) error {
	// The handle is that of a process, not of a number: what is killed is what
	// the environment was read of.
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(handle)
	name, owner, ok := marked(pid)
	if !ok || !slices.Contains(names, name) || owner.lives() {
		return nil
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err == unix.ESRCH {
		return nil
	} else if err != nil {
		return fmt.Errorf("helper %q of an earlier daemon, process %d: %w", name, pid, err)
	}
	log.Warn("killed what a helper of an earlier daemon left behind", zap.String("helper", name), zap.Int("pid", pid))
	// Once it has ended it has let go of its ports and files.
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, int(patience/time.Millisecond))
	if err == unix.EINTR {
		return nil
	}
	return err
}

// patience bounds the wait for the end of a killed process.
const patience = 5 * time.Second

// marked reads the marker of a process.
func marked(pid int) (helper string, owner daemon, ok bool) {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return "", owner, false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		value, found := bytes.CutPrefix(entry, []byte(marker+"="))
		if !found {
			continue
		}
		n, err := fmt.Sscanf(string(value), "%s %d %d", &helper, &owner.pid, &owner.began)
		return helper, owner, err == nil && n == 3
	}
	return "", owner, false
}
