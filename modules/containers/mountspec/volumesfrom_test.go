package mountspec

import (
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestVolumesFrom(t *testing.T) {
	for text, want := range map[string]bool{"web": true, "web:rw": true, "web:ro": false, "web:ro,z": false, "web:Z": true} {
		name, writable, err := ParseVolumesFrom(text)
		require.NoError(t, err, text)
		assert.Equal(t, "web", name)
		assert.Equal(t, want, writable, text)
	}
	for _, bad := range []string{"", ":ro", "web:", "web:ro,rw", "web:rslave", "web:nocopy", "web:z,Z", "web:ro,"} {
		_, _, err := ParseVolumesFrom(bad)
		assert.Error(t, err, bad)
	}
}

func TestInheritedMountsGiveWayToTheContainersOwn(t *testing.T) {
	inherited := func(destination string) Mount {
		m := volume("from-"+destination[1:], destination, "")
		m.Type = mount.TypeVolume
		return m
	}
	list, err := Parse(&types.HostConfig{Binds: []string{"/host:/a"}}, map[string]struct{}{"/b": {}, "/c": {}}, inherited("/a"), inherited("/b"), inherited("/b"))
	require.NoError(t, err)
	got := map[string]string{}
	for _, m := range list {
		got[m.Destination] = m.Source + m.Name
	}
	assert.Equal(t, map[string]string{"/a": "/host", "/b": "from-b", "/c": ""}, got)
}
