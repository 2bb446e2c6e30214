// Package metrics gives what the kernel counts for a container the form of
// Docker's statistics.
package metrics

import (
	"fmt"
	"slices"
	"strings"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/container"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fill sets the fields of s that a container's cgroup counts, from what the
// engine answers, for either version of cgroups. memory is the machine's, in
// bytes, which is the limit of a container that has none.
func Fill(s *container.StatsResponse, from typeurl.Any, memory uint64) error {
	m, err := typeurl.UnmarshalAny(from)
	if err != nil {
		return fmt.Errorf("cannot read the metrics of a container: %w", err)
	}
	switch m := m.(type) {
	case *cgroup1.Metrics:
		fill1(s, m)
	case *cgroup2.Metrics:
		fill2(s, m)
	default:
		return fmt.Errorf("cannot read the metrics of a container: they are of type %T", m)
	}
	if memory > 0 && s.MemoryStats.Limit > memory {
		s.MemoryStats.Limit = memory
	}
	return nil
}

func fill1(s *container.StatsResponse, m *cgroup1.Metrics) {
	if u := m.GetCPU().GetUsage(); u != nil {
		s.CPUStats.CPUUsage = container.CPUUsage{
			TotalUsage: u.Total, PercpuUsage: u.PerCPU, UsageInKernelmode: u.Kernel, UsageInUsermode: u.User,
		}
	}
	if t := m.GetCPU().GetThrottling(); t != nil {
		s.CPUStats.ThrottlingData = container.ThrottlingData{Periods: t.Periods, ThrottledPeriods: t.ThrottledPeriods, ThrottledTime: t.ThrottledTime}
	}
	if mem := m.GetMemory(); mem != nil {
		s.MemoryStats.Stats = counters(mem, names1)
		if u := mem.Usage; u != nil {
			s.MemoryStats.Usage, s.MemoryStats.MaxUsage = u.Usage, u.Max
			s.MemoryStats.Limit, s.MemoryStats.Failcnt = u.Limit, u.Failcnt
		}
	}
	if b := m.GetBlkio(); b != nil {
		s.BlkioStats = container.BlkioStats{
			IoServiceBytesRecursive: blkio(b.IoServiceBytesRecursive), IoServicedRecursive: blkio(b.IoServicedRecursive),
			IoQueuedRecursive: blkio(b.IoQueuedRecursive), IoServiceTimeRecursive: blkio(b.IoServiceTimeRecursive),
			IoWaitTimeRecursive: blkio(b.IoWaitTimeRecursive), IoMergedRecursive: blkio(b.IoMergedRecursive),
			IoTimeRecursive: blkio(b.IoTimeRecursive), SectorsRecursive: blkio(b.SectorsRecursive),
		}
	}
	s.PidsStats = container.PidsStats{Current: m.GetPids().GetCurrent(), Limit: m.GetPids().GetLimit()}
}

func blkio(entries []*cgroup1.BlkIOEntry) []container.BlkioStatEntry {
	list := make([]container.BlkioStatEntry, len(entries))
	for i, e := range entries {
		list[i] = container.BlkioStatEntry{Major: e.Major, Minor: e.Minor, Op: e.Op, Value: e.Value}
	}
	return list
}

func fill2(s *container.StatsResponse, m *cgroup2.Metrics) {
	if c := m.GetCPU(); c != nil { // it counts microseconds
		s.CPUStats.CPUUsage = container.CPUUsage{TotalUsage: c.UsageUsec * 1000, UsageInKernelmode: c.SystemUsec * 1000, UsageInUsermode: c.UserUsec * 1000}
		s.CPUStats.ThrottlingData = container.ThrottlingData{Periods: c.NrPeriods, ThrottledPeriods: c.NrThrottled, ThrottledTime: c.ThrottledUsec * 1000}
	}
	if mem := m.GetMemory(); mem != nil {
		s.MemoryStats = container.MemoryStats{
			Stats: counters(mem, names2), Usage: mem.Usage, Limit: mem.UsageLimit, Failcnt: m.GetMemoryEvents().GetOom(),
		}
	}
	for _, e := range m.GetIo().GetUsage() {
		s.BlkioStats.IoServiceBytesRecursive = append(s.BlkioStats.IoServiceBytesRecursive,
			container.BlkioStatEntry{Major: e.Major, Minor: e.Minor, Op: "read", Value: e.Rbytes},
			container.BlkioStatEntry{Major: e.Major, Minor: e.Minor, Op: "write", Value: e.Wbytes},
		)
	}
	s.PidsStats = container.PidsStats{Current: m.GetPids().GetCurrent(), Limit: m.GetPids().GetLimit()}
}

// names1 gives the counters of cgroup v1 the kernel's names, as dockerd does.
func names1(name string) (string, bool) {
	return strings.NewReplacer("pg_pg_", "pgpg", "pg_fault", "pgfault", "pg_maj_fault", "pgmajfault", "swap_limit", "memsw_limit").Replace(name), true
}

// names2 leaves out those that have fields of their own.
func names2(name string) (string, bool) {
	return name, !slices.Contains([]string{"usage", "usage_limit", "max_usage", "swap_usage", "swap_limit", "swap_max_usage"}, name)
}

// counters returns the numbers in a message by name.
func counters(from proto.Message, name func(string) (string, bool)) map[string]uint64 {
	all := map[string]uint64{}
	m := from.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() != protoreflect.Uint64Kind {
			continue
		}
		if n, ok := name(string(f.Name())); ok {
			all[n] = m.Get(f).Uint()
		}
	}
	return all
}
