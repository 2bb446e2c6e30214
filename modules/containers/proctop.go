package containers

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// ticks per second in /proc/PID/stat; the kernel's ABI.
const ticks = 100

// procTop is ps -ef for hosts without a ps.
func procTop(pids []int) *container.TopResponse {
	top := &container.TopResponse{
		Titles:    strings.Fields("UID PID PPID C STIME TTY TIME CMD"),
		Processes: [][]string{},
	}
	for _, pid := range pids {
		if fields, ok := process(pid); ok { // else it has ended
			top.Processes = append(top.Processes, fields)
		}
	}
	return top
}

func process(pid int) ([]string, bool) {
	stat, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return nil, false
	}
	// The name is in parentheses and may hold anything, parentheses too.
	open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
	if open < 0 || end < open {
		return nil, false
	}
	f := strings.Fields(string(stat[end+1:])) // from field 3 of proc(5) on
	if len(f) < 20 {
		return nil, false
	}
	number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
	used := (number(11) + number(12)) / ticks
	started := bootTime().Add(time.Duration(number(19)) * time.Second / ticks)
	percent := int64(0)
	if lived := int64(time.Since(started).Seconds()); lived > 0 {
		percent = used * 100 / lived
	}
	command := "[" + string(stat[open+1:end]) + "]"
	if line, err := os.ReadFile(procPath(pid, "cmdline")); err == nil && len(line) > 0 {
		command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	clock := started.Format("15:04")
	if time.Since(started) > 24*time.Hour {
		clock = started.Format("Jan02")
	}
	terminal := "?"
	if tty := uint64(number(4)); tty != 0 {
		if terminal = "tty" + strconv.FormatUint(uint64(unix.Minor(tty)), 10); unix.Major(tty) >= 136 && unix.Major(tty) <= 143 {
			terminal = "pts/" + strconv.FormatUint(uint64(unix.Minor(tty)), 10)
		}
	}
	return []string{
		owner(pid), strconv.Itoa(pid), f[1], strconv.FormatInt(percent, 10), clock, terminal,
		fmt.Sprintf("%02d:%02d:%02d", used/3600, used/60%60, used%60), command,
	}, true
}

func owner(pid int) string {
	var st unix.Stat_t
	if err := unix.Stat(procPath(pid), &st); err != nil {
		return "?"
	}
	id := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func bootTime() time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Now()
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}
