package demo

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// traces are what a running container is to the kernel.
type traces struct {
	pid        int
	namespaces map[string]bool // "pid:[4026532201]", without those of the host
	cgroups    []string        // directories, of the container and of the daemon's containers
}

// tracesOf reads those of a container's first process.
func tracesOf(pid int) (traces, error) {
	t := traces{pid: pid, namespaces: namespacesOf(pid)}
	for ns := range namespacesOf(os.Getpid()) {
		delete(t.namespaces, ns)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[2] == "/" {
			continue
		}
		// Version 1 has a directory for each controller, version 2 has one.
		var found []string
		for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			more, _ := filepath.Glob(pattern + fields[2])
			found = append(found, more...)
		}
		for _, dir := range found {
			t.cgroups = append(t.cgroups, dir, filepath.Dir(dir))
		}
	}
	slices.Sort(t.cgroups)
	t.cgroups = slices.Compact(t.cgroups)
	if len(t.namespaces) == 0 || len(t.cgroups) == 0 {
		return t, fmt.Errorf("process %d is in no container", pid)
	}
	return t, nil
}

func namespacesOf(pid int) map[string]bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/ns/*", pid))
	found := map[string]bool{}
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil {
			found[ns] = true
		}
	}
	return found
}

// claimNothingIsLeft looks for what the demo may have left.
func (s *story) claimNothingIsLeft() {
	s.chapter("Nothing is left behind")
	none := func(what string, left []string) {
		proof := "found none"
		if len(left) > 0 {
			proof = "found " + strings.Join(left, ", ")
		}
		s.claim(len(left) == 0, proof, "no %s", what)
	}
	var processes, namespaces, cgroups, mounts, files []string
	for pid := range allProcesses() {
		if commandHas(pid, s.root) {
			processes = append(processes, strconv.Itoa(pid))
		}
		for ns := range namespacesOf(pid) {
			if s.traces.namespaces[ns] {
				namespaces = append(namespaces, fmt.Sprintf("%s of process %d", ns, pid))
			}
		}
	}
	for _, dir := range s.traces.cgroups {
		if _, err := os.Stat(dir); err == nil {
			cgroups = append(cgroups, dir)
		}
	}
	found, _ := mountinfo.GetMounts(mountinfo.PrefixFilter(s.root))
	for _, m := range found {
		mounts = append(mounts, m.Mountpoint)
	}
	left, err := devices()
	if err != nil {
		left = []string{err.Error()}
	}
	if _, err := os.Lstat(s.root); err == nil {
		files = append(files, s.root)
	}
	none("process of the daemon or the container", processes)
	none("namespace of the container", namespaces)
	none("cgroup of the container or the daemon", cgroups)
	none("bridge or interface", left)
	none("mount below "+s.root, mounts)
	none("file below "+s.root, files)
}

// endAll kills the processes that have root in their command line and undoes
// the mounts below it: after a failure, what the daemon could not.
func endAll(root string) error {
	for pid := range allProcesses() {
		if commandHas(pid, root) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(root))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", m.Mountpoint, err)
		}
	}
	return nil
}

// allProcesses yields the ids of all processes but our own.
func allProcesses() map[int]bool {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	pids := map[int]bool{}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids[pid] = true
		}
	}
	maps.DeleteFunc(pids, func(pid int, _ bool) bool { return pid == os.Getpid() })
	return pids
}

func commandHas(pid int, text string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(line, []byte(text))
}
