package limit_test

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins/limit"
	"github.com/pouchfx/pouchfx/types"
)

func field(t testing.TB, name string) (f limit.Field) {
	t.Helper()
	require.NoError(t, f.UnmarshalText([]byte(name)))
	return f
}

func TestFieldsAreSetAsDockerReadsThem(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		field, text string
		want        types.HostConfig
		json        string
	}{
		{"memory", "512m", types.HostConfig{Resources: types.Resources{Memory: 512 << 20}}, "536870912"},
		{"memory", "1073741824", types.HostConfig{Resources: types.Resources{Memory: 1 << 30}}, "1073741824"},
		{"memory-swap", "-1", types.HostConfig{Resources: types.Resources{MemorySwap: -1}}, "-1"},
		{"memory-swap", "1.5G", types.HostConfig{Resources: types.Resources{MemorySwap: 3 << 29}}, "1610612736"},
		{"memory-reservation", "4kb", types.HostConfig{Resources: types.Resources{MemoryReservation: 4 << 10}}, "4096"},
		{"cpus", "0.5", types.HostConfig{Resources: types.Resources{NanoCPUs: 5e8}}, "500000000"},
		{"cpu-shares", "512", types.HostConfig{Resources: types.Resources{CPUShares: 512}}, "512"},
		{"cpu-period", "50000", types.HostConfig{Resources: types.Resources{CPUPeriod: 50_000}}, "50000"},
		{"cpu-quota", "-1", types.HostConfig{Resources: types.Resources{CPUQuota: -1}}, "-1"},
		{"cpuset-cpus", "0-2,4", types.HostConfig{Resources: types.Resources{CpusetCpus: "0-2,4"}}, `"0-2,4"`},
		{"cpuset-mems", "0", types.HostConfig{Resources: types.Resources{CpusetMems: "0"}}, `"0"`},
		{"pids-limit", "100", types.HostConfig{Resources: types.Resources{PidsLimit: number(100)}}, "100"},
		{"blkio-weight", "500", types.HostConfig{Resources: types.Resources{BlkioWeight: 500}}, "500"},
		{"shm-size", "64m", types.HostConfig{ShmSize: 64 << 20}, "67108864"},
		{"oom-score-adj", "-500", types.HostConfig{OomScoreAdj: -500}, "-500"},
		{
			"ulimits", "nofile=1024:2048,nproc=5",
			types.HostConfig{Resources: types.Resources{Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}, {Name: "nproc", Soft: 5, Hard: 5}}}},
			`[{"Name":"nofile","Soft":1024,"Hard":2048},{"Name":"nproc","Soft":5,"Hard":5}]`,
		},
		{
			"ulimits.core", "0", types.HostConfig{Resources: types.Resources{Ulimits: []*container.Ulimit{{Name: "core"}}}},
			`[{"Name":"core","Soft":0,"Hard":0}]`,
		},
		{"sysctls", "net.core.somaxconn=9, kernel.msgmax=1", types.HostConfig{Sysctls: map[string]string{"net.core.somaxconn": "9", "kernel.msgmax": "1"}}, `{"kernel.msgmax":"1","net.core.somaxconn":"9"}`},
		{"sysctls.net.ipv4.ip_local_port_range", "1024 65535", types.HostConfig{Sysctls: map[string]string{"net.ipv4.ip_local_port_range": "1024 65535"}}, `{"net.ipv4.ip_local_port_range":"1024 65535"}`},
	} {
		t.Run(c.field+" "+c.text, func(t *testing.T) {
			var h types.HostConfig
			for range 2 { // and again, for nothing piles up
				require.NoError(t, field(t, c.field).Put(&h, c.text, false))
				assert.Equal(t, c.want, h)
			}
			text, err := field(t, c.field).JSON(c.text)
			require.NoError(t, err)
			assert.JSONEq(t, c.json, string(text))
		})
	}
}

func TestWhatIsSetStaysUnlessOverridden(t *testing.T) {
	n := int64(0)
	asked := func() types.HostConfig {
		return types.HostConfig{
			ShmSize: 1, OomScoreAdj: 1, Sysctls: map[string]string{"a": "1"},
			Resources: types.Resources{
				Memory: 1, CPUQuota: 10, CPUPeriod: 20, CpusetCpus: "0", PidsLimit: &n, BlkioWeight: 1,
				Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1, Hard: 1}},
			},
		}
	}
	values := map[string]string{
		"memory": "2", "cpus": "2", "cpuset-cpus": "1", "pids-limit": "2", "blkio-weight": "2", "shm-size": "2",
		"oom-score-adj": "2", "ulimits.nofile": "2", "sysctls.a": "2",
	}
	h := asked()
	for name, text := range values {
		require.NoError(t, field(t, name).Put(&h, text, false))
	}
	assert.Equal(t, asked(), h)
	for name, text := range values {
		require.NoError(t, field(t, name).Put(&h, text, true))
	}
	two := int64(2)
	assert.Equal(t, types.HostConfig{
		ShmSize: 2, OomScoreAdj: 2, Sysctls: map[string]string{"a": "2"},
		Resources: types.Resources{
			Memory: 2, NanoCPUs: 2e9, CpusetCpus: "1", PidsLimit: &two, BlkioWeight: 2, // no quota beside cpus
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 2, Hard: 2}},
		},
	}, h)
	assert.Zero(t, n, "what others hold is not written to")

	require.NoError(t, field(t, "cpu-quota").Put(&h, "50000", false))
	assert.EqualValues(t, 2e9, h.NanoCPUs)
	require.NoError(t, field(t, "cpu-quota").Put(&h, "50000", true))
	assert.Zero(t, h.NanoCPUs)
	assert.EqualValues(t, 50_000, h.CPUQuota)
}

func TestValuesThatDoNotParse(t *testing.T) {
	for name, texts := range map[string][]string{
		"memory":                {"12q", "-1", "m", "9999999999999p", "8388608t", "nan"},
		"memory-swap":           {"-2", "x"},
		"cpus":                  {"1e9", "-1", "0.0000000001", "", ".", "1/2", "99999999999999999999"},
		"cpu-shares":            {"1.5", "-1", "262145"},
		"cpuset-cpus":           {"a", "2-1", "0,", "-", "0-1-2"},
		"pids-limit":            {"many", "-2"},
		"blkio-weight":          {"1001"},
		"oom-score-adj":         {"-1001"},
		"ulimits":               {"nofile", "none=1", "nofile=2:1", ",", "nofile=a"},
		"ulimits.nofile":        {"", "1 nproc=5", "2:1"},
		"sysctls":               {"a", "=1", "a=1,b", "a=1\nb"},
		"sysctls.kernel.msgmax": {"1\x00"},
	} {
		for _, text := range texts {
			var h types.HostConfig
			assert.Error(t, field(t, name).Put(&h, text, true), "%s %q", name, text)
			assert.Zero(t, h)
		}
	}
}

func TestFieldsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"Memory": "use one of memory, memory-swap", "memory.x": "memory is one value", "ulimits.": "write ulimits.NAME",
		"ulimits.none": "setrlimit(2) has no limit none", "sysctls.a b": "write sysctls.NAME", "": "is no field",
	} {
		var f limit.Field
		assert.ErrorContains(t, f.UnmarshalText([]byte(text)), want, text)
		assert.True(t, f.IsZero())
	}
}

func TestRules(t *testing.T) {
	memory := field(t, "memory")
	for want, r := range map[string]limit.Rule{
		"one of the keys env and label":  {Set: memory},
		"one of the keys env and label:": {Env: "A", Label: "a", Set: memory},
		"has no =":                       {Env: "A=", Set: memory},
		"the key set is missing":         {Env: "A"},
	} {
		assert.ErrorContains(t, r.Validate(), want)
	}
	require.NoError(t, limit.Rule{Label: "a", Set: memory}.Validate())
	err := limit.Rule{Env: "MEMORY_LIMIT", Set: memory}.Refuse("12q", memory.Put(&types.HostConfig{}, "12q", false))
	assert.True(t, errdefs.IsInvalidArgument(err))
	assert.EqualError(t, err, `MEMORY_LIMIT "12q": memory: not a size: write bytes, or a number with a unit, such as 512m or 1g`)
	err = limit.Rule{Label: "a", Set: memory}.Refuse(string(make([]byte, 1<<20)), assert.AnError)
	assert.Less(t, len(err.Error()), 1000)
}

func TestLists(t *testing.T) {
	list := []string{"A=1", "B", "A=2=3", "AB=4"}
	value, ok := limit.Last(list, "A")
	assert.Equal(t, "2=3", value)
	assert.True(t, ok)
	for _, none := range []string{"B", "C", ""} {
		_, ok := limit.Last(list, none)
		assert.False(t, ok, none)
	}
	assert.Equal(t, []string{"B", "AB=4"}, limit.Without(list, []string{"A", "B"}))
	assert.Nil(t, limit.Without(nil, []string{"A"}))
}

func FuzzValues(f *testing.F) {
	names := []string{
		"memory", "memory-swap", "cpus", "cpu-quota", "cpuset-cpus", "pids-limit", "blkio-weight", "oom-score-adj",
		"ulimits", "ulimits.nofile", "sysctls", "sysctls.a",
	}
	for i, seed := range []string{"512m", "-1", "0.5", "-1", "0-2,4", "100", "10", "-5", "nofile=1:2,nproc=3", "1:2", "a=b,c=d", "x"} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, i uint8, text string) {
		set := field(t, names[int(i)%len(names)])
		var h types.HostConfig
		if err := set.Put(&h, text, false); err != nil {
			assert.Zero(t, h, "nothing is half done")
			return
		}
		assert.GreaterOrEqual(t, h.Memory, int64(0))
		assert.GreaterOrEqual(t, h.MemorySwap, int64(-1))
		assert.GreaterOrEqual(t, h.NanoCPUs, int64(0))
		_, err := set.JSON(text)
		assert.NoError(t, err, "what can be set can be updated")
	})
}
