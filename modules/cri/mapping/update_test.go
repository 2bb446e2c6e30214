package mapping

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// updated makes the change of a hook, which gets the body as an object.
func updated(t *testing.T, r *runtime.UpdateContainerResourcesRequest, hook func(body map[string]any)) (*runtime.UpdateContainerResourcesRequest, bool, error) {
	t.Helper()
	own := proto.Clone(r).(*runtime.UpdateContainerResourcesRequest)
	before, err := UpdateBody(own)
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(before, &body))
	hook(body)
	after, err := json.Marshal(body)
	require.NoError(t, err)
	changed, err := ApplyUpdate(own, before, after)
	if err != nil {
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	}
	return own, changed, err
}

func resize() *runtime.UpdateContainerResourcesRequest {
	return &runtime.UpdateContainerResourcesRequest{ContainerId: "c", Linux: &runtime.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512, CpusetCpus: "0-1", MemoryLimitInBytes: 1 << 30, MemorySwapLimitInBytes: 1 << 30,
		OomScoreAdj: 5, Unified: map[string]string{"memory.high": "1"}, HugepageLimits: []*runtime.HugepageLimit{{PageSize: "2MB"}},
	}}
}

func TestAnUpdateInDockersWords(t *testing.T) {
	body, err := UpdateBody(resize())
	require.NoError(t, err)
	var u types.UpdateConfig
	require.NoError(t, json.Unmarshal(body, &u))
	want := types.UpdateConfig{}
	want.CPUPeriod, want.CPUQuota, want.CPUShares, want.CpusetCpus, want.Memory, want.MemorySwap = 100000, 50000, 512, "0-1", 1<<30, 1<<30
	assert.Equal(t, want, u)
}

func TestAnUpdateThatNobodyChangesIsAsItWas(t *testing.T) {
	for seed := range uint64(requests) {
		r := &runtime.UpdateContainerResourcesRequest{}
		filler{rand.New(rand.NewPCG(seed, 2)), false}.fill(r.ProtoReflect())
		got, changed, err := updated(t, r, func(body map[string]any) {
			if l := r.GetLinux(); l != nil { // a hook that knows JSON's numbers alone would spoil the big ones
				body["CpuPeriod"], body["CpuQuota"], body["CpuShares"] = l.CpuPeriod, l.CpuQuota, l.CpuShares
				body["Memory"], body["MemorySwap"] = l.MemoryLimitInBytes, l.MemorySwapLimitInBytes
			}
			body["Unknown"] = true
		})
		require.NoError(t, err)
		require.False(t, changed)
		require.Equal(t, encoded(t, r), encoded(t, got))
	}
}

func TestAnUpdateIsCarried(t *testing.T) {
	got, changed, err := updated(t, resize(), func(body map[string]any) {
		body["memory"], body["CpusetCpus"], body["CpuShares"] = 2<<30, "2", 0
		delete(body, "Memory")
	})
	require.NoError(t, err)
	assert.True(t, changed)
	want := resize()
	want.Linux.MemoryLimitInBytes, want.Linux.MemorySwapLimitInBytes, want.Linux.CpusetCpus, want.Linux.CpuShares = 2<<30, 2<<30, "2", 0
	assert.True(t, proto.Equal(want, got), "%v", got)

	got, changed, err = updated(t, &runtime.UpdateContainerResourcesRequest{}, func(body map[string]any) { body["NanoCpus"] = 2e9 })
	require.NoError(t, err)
	assert.True(t, changed)
	assert.EqualValues(t, 200_000, got.Linux.CpuQuota)
}

func TestAnUpdateRefusesByName(t *testing.T) {
	for field, value := range map[string]any{
		"RestartPolicy": map[string]any{"Name": "always"}, "PidsLimit": 5, "BlkioWeight": 500, "Env": []string{"A=b"}, "Label": []string{"a=b"},
		"SpecAnnotation": map[string]string{"a": "b"}, "MemoryReservation": 64 << 20, "Ulimits": []any{map[string]any{"Name": "core"}},
		"Devices": []any{map[string]any{}}, "OomKillDisable": true, "CgroupParent": "/x", "CpuRealtimePeriod": 5, "NanoCpus": 5,
	} {
		_, changed, err := updated(t, resize(), func(body map[string]any) { body[field] = value })
		name := map[string]string{"CpuRealtimePeriod": "CPURealtimePeriod", "NanoCpus": "NanoCPUs"}[field]
		if name == "" {
			name = field
		}
		assert.ErrorContains(t, err, "cannot carry a change to CRI: "+name+": ")
		assert.False(t, changed)
	}
	r := resize()
	before, err := UpdateBody(r)
	require.NoError(t, err)
	for _, after := range []string{"", "{", `{"Memory":"x"}`, "{} {}"} {
		_, err := ApplyUpdate(r, before, []byte(after))
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, after)
	}
}
