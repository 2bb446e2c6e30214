package metrics

import (
	"strings"
	"testing"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func fill(t *testing.T, m any, memory uint64) container.StatsResponse {
	t.Helper()
	from, err := typeurl.MarshalAny(m)
	require.NoError(t, err)
	var s container.StatsResponse
	require.NoError(t, Fill(&s, from, memory))
	return s
}

func TestCgroup1(t *testing.T) {
	s := fill(t, &cgroup1.Metrics{
		Pids: &cgroup1.PidsStat{Current: 3, Limit: 50},
		CPU: &cgroup1.CPUStat{
			Usage:      &cgroup1.CPUUsage{Total: 100, Kernel: 40, User: 60, PerCPU: []uint64{30, 70}},
			Throttling: &cgroup1.Throttle{Periods: 1, ThrottledPeriods: 2, ThrottledTime: 3},
		},
		Memory: &cgroup1.MemoryStat{
			PgPgIn: 1, TotalPgMajFault: 2, HierarchicalSwapLimit: 3, TotalInactiveFile: 4, RSSHuge: 5,
			Usage: &cgroup1.MemoryEntry{Limit: 1 << 63, Usage: 11, Max: 12, Failcnt: 13},
		},
		Blkio: &cgroup1.BlkIOStat{IoServiceBytesRecursive: []*cgroup1.BlkIOEntry{{Op: "Read", Major: 8, Minor: 1, Value: 9}}},
	}, 4096)
	assert.Equal(t, container.CPUUsage{TotalUsage: 100, UsageInKernelmode: 40, UsageInUsermode: 60, PercpuUsage: []uint64{30, 70}}, s.CPUStats.CPUUsage)
	assert.Equal(t, container.ThrottlingData{Periods: 1, ThrottledPeriods: 2, ThrottledTime: 3}, s.CPUStats.ThrottlingData)
	assert.Equal(t, container.PidsStats{Current: 3, Limit: 50}, s.PidsStats)
	assert.Equal(t, uint64(4096), s.MemoryStats.Limit, "without a limit it is the machine's")
	assert.Equal(t, [3]uint64{11, 12, 13}, [3]uint64{s.MemoryStats.Usage, s.MemoryStats.MaxUsage, s.MemoryStats.Failcnt})
	for name, want := range map[string]uint64{"pgpgin": 1, "total_pgmajfault": 2, "hierarchical_memsw_limit": 3, "total_inactive_file": 4, "rss_huge": 5, "cache": 0} {
		got, ok := s.MemoryStats.Stats[name]
		assert.True(t, ok, name)
		assert.Equal(t, want, got, name)
	}
	assert.Equal(t, []container.BlkioStatEntry{{Op: "Read", Major: 8, Minor: 1, Value: 9}}, s.BlkioStats.IoServiceBytesRecursive)
	assert.Equal(t, container.PidsStats{}, fill(t, &cgroup1.Metrics{}, 0).PidsStats)
}

func TestCgroup2(t *testing.T) {
	s := fill(t, &cgroup2.Metrics{
		Pids:         &cgroup2.PidsStat{Current: 3},
		CPU:          &cgroup2.CPUStat{UsageUsec: 100, SystemUsec: 40, UserUsec: 60, NrThrottled: 1, ThrottledUsec: 2},
		Memory:       &cgroup2.MemoryStat{Anon: 1, InactiveFile: 2, Usage: 11, UsageLimit: 100},
		MemoryEvents: &cgroup2.MemoryEvents{Oom: 13},
		Io:           &cgroup2.IOStat{Usage: []*cgroup2.IOEntry{{Major: 8, Rbytes: 5, Wbytes: 6}}},
	}, 4096)
	assert.Equal(t, container.CPUUsage{TotalUsage: 100_000, UsageInKernelmode: 40_000, UsageInUsermode: 60_000}, s.CPUStats.CPUUsage)
	assert.Equal(t, container.ThrottlingData{ThrottledPeriods: 1, ThrottledTime: 2000}, s.CPUStats.ThrottlingData)
	assert.Equal(t, [3]uint64{11, 100, 13}, [3]uint64{s.MemoryStats.Usage, s.MemoryStats.Limit, s.MemoryStats.Failcnt})
	assert.Equal(t, uint64(2), s.MemoryStats.Stats["inactive_file"])
	assert.NotContains(t, s.MemoryStats.Stats, "usage_limit")
	assert.Equal(t, []container.BlkioStatEntry{{Op: "read", Major: 8, Value: 5}, {Op: "write", Major: 8, Value: 6}}, s.BlkioStats.IoServiceBytesRecursive)
}

func TestHostCounters(t *testing.T) {
	total, online, err := CPUs(strings.NewReader("cpu  1 2 3 4 5 6 7 100 100 100\ncpu0 1\ncpu1 2\nintr 5\ncpu9 1\n"))
	require.NoError(t, err)
	assert.EqualValues(t, 28*tick, total)
	assert.EqualValues(t, 2, online)
	for _, bad := range []string{"", "intr 1\n", "cpu 1 2\n", "cpu a 2 3 4 5 6 7 8\n"} {
		_, _, err := CPUs(strings.NewReader(bad))
		assert.Error(t, err, bad)
	}
	assert.Positive(t, Memory())

	text := "Inter-|   Receive | Transmit\n face |bytes |bytes\n    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n  eth0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
	assert.Equal(t, map[string]container.NetworkStats{
		"eth0": {RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8},
	}, Networks([]byte(text)))
	assert.Nil(t, Networks(nil))
}
