package ocispec

import (
	"os"
	"strconv"
	"strings"
)

// CheckSets refuses lists of CPUs and memory nodes, such as 0-2,5, that are
// none, or that name what this host does not have: the kernel would refuse them
// when the container starts, and say less.
func CheckSets(cpus, mems string) error {
	for _, s := range []struct{ given, kind, what, v1 string }{
		{cpus, "cpus", "CPUs", "cpuset.effective_cpus"},
		{mems, "mems", "memory nodes", "cpuset.effective_mems"},
	} {
		wanted, ok := parseSet(s.given)
		if !ok {
			return invalid("Invalid value %s for cpuset %s", s.given, s.kind)
		}
		text, err := readFirst("/sys/fs/cgroup/cpuset."+s.kind+".effective", "/sys/fs/cgroup/cpuset/"+s.v1)
		if err != nil { // no such cgroup controller: the start tells
			continue
		}
		available, ok := parseSet(text)
		if ok && !wanted.within(available) {
			return invalid("Requested %s are not available - requested %s, available: %s", s.what, s.given, text)
		}
	}
	return nil
}

// set is the ranges of a list of numbers, with both ends.
type set [][2]uint64

func (s set) within(other set) bool {
	for _, r := range s {
		for n := r[0]; n <= r[1]; n++ {
			if !other.has(n) {
				return false
			}
		}
	}
	return true
}

func (s set) has(n uint64) bool {
	for _, r := range s {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	return false
}

func parseSet(text string) (s set, ok bool) {
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			high = low
		}
		a, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, false
		}
		b, err := strconv.ParseUint(high, 10, 16)
		if err != nil || b < a {
			return nil, false
		}
		s = append(s, [2]uint64{a, b})
	}
	return s, true
}

func readFirst(paths ...string) (text string, err error) {
	for _, path := range paths {
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
	}
	return "", err
}
