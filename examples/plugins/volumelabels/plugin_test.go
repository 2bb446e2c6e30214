package volumelabels

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestMissingLabelsAreAdded(t *testing.T) {
	p, err := New(Config{Labels: map[string]string{"team": "blue", "tier": "gold"}})
	require.NoError(t, err)
	for name, test := range map[string]struct{ labels, want map[string]string }{
		"none": {nil, map[string]string{"team": "blue", "tier": "gold"}},
		"own":  {map[string]string{"team": "red"}, map[string]string{"team": "red", "tier": "gold"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := &types.VolumeCreateConfig{Labels: test.labels}
			require.NoError(t, p.PreVolumeCreate(t.Context(), v))
			assert.Equal(t, test.want, v.Labels)
		})
	}
}
