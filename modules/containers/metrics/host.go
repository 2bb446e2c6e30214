package metrics

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// tick is the unit of /proc/stat in nanoseconds; the kernel's ABI.
const tick = 10_000_000

// CPUs reads /proc/stat: the time that all processors have spent, in
// nanoseconds, and how many there are.
func CPUs(stat io.Reader) (total uint64, online uint32, err error) {
	found := false
	for lines := bufio.NewScanner(stat); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || !strings.HasPrefix(words[0], "cpu") {
			break // they are the first
		}
		if words[0] != "cpu" {
			online++
			continue
		}
		if len(words) < 8 {
			break
		}
		// What guests used is in the user's time already.
		for _, w := range words[1:8] {
			n, err := strconv.ParseUint(w, 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("bad number in /proc/stat: %w", err)
			}
			total += n * tick
		}
		found = true
	}
	if !found {
		return 0, 0, fmt.Errorf("bad /proc/stat: there is no line of all processors")
	}
	return total, online, nil
}

// Networks reads /proc/PID/net/dev: the counters of the network interfaces
// but loopback; nil when there are none. What is no such line is left out.
func Networks(dev []byte) map[string]container.NetworkStats {
	var all map[string]container.NetworkStats
	for line := range bytes.Lines(dev) {
		name, rest, ok := strings.Cut(string(line), ":")
		words := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || len(words) < 12 || name == "lo" {
			continue
		}
		number := func(i int) uint64 { n, _ := strconv.ParseUint(words[i], 10, 64); return n }
		if all == nil {
			all = make(map[string]container.NetworkStats)
		}
		all[name] = container.NetworkStats{
			RxBytes: number(0), RxPackets: number(1), RxErrors: number(2), RxDropped: number(3),
			TxBytes: number(8), TxPackets: number(9), TxErrors: number(10), TxDropped: number(11),
		}
	}
	return all
}

// Memory is the machine's, in bytes; 0 when it is not known.
func Memory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}
