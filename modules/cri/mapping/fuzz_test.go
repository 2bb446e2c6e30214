package mapping

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// Whatever decodes is shown and edited without a panic, and untouched is as it
// was.
func FuzzRequests(f *testing.F) {
	for seed := range uint64(5) {
		b, err := proto.Marshal(anyRequest(seed))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &runtime.CreateContainerRequest{}
		if proto.Unmarshal(b, r) != nil {
			return
		}
		_, result := mustApply(t, r, func(*types.ContainerCreateConfig) {})
		assert.Zero(t, result)
		_, _, _ = applied(t, r, furtherSettings)
		_, _, _ = applied(t, r, func(c *types.ContainerCreateConfig) { *c = *Config(full()) })
		s := podSpec()
		c := Container("id", r, s, "")
		require.NoError(t, EditStart(s, c, nil))
		assert.Equal(t, podSpec(), s)
		Sandbox(r)
	})
}

func FuzzUpdates(f *testing.F) {
	b, err := proto.Marshal(resize())
	require.NoError(f, err)
	f.Add(b, []byte(`{"Memory":5,"PidsLimit":1}`))
	f.Fuzz(func(t *testing.T, b, after []byte) {
		r := &runtime.UpdateContainerResourcesRequest{}
		if proto.Unmarshal(b, r) != nil {
			return
		}
		before, err := UpdateBody(r)
		require.NoError(t, err)
		original := proto.Clone(r)
		changed, err := ApplyUpdate(r, before, after)
		if err == nil && !changed {
			assert.True(t, proto.Equal(original, r))
		}
	})
}
