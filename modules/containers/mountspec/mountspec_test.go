package mountspec

import (
	"path"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestBinds(t *testing.T) {
	for text, want := range map[string]types.MountPoint{
		"/a:/b":             {Type: mount.TypeBind, Source: "/a", Destination: "/b", RW: true, Propagation: "rprivate"},
		"/a/../c:/b/":       {Type: mount.TypeBind, Source: "/c", Destination: "/b", RW: true, Propagation: "rprivate"},
		"/a:/b:ro,rshared":  {Type: mount.TypeBind, Source: "/a", Destination: "/b", Mode: "ro,rshared", Propagation: "rshared"},
		"/a:/b:rw,z,cached": {Type: mount.TypeBind, Source: "/a", Destination: "/b", Mode: "rw,z,cached", RW: true, Propagation: "rprivate"},
		"data:/b":           {Type: mount.TypeVolume, Name: "data", Driver: "local", Destination: "/b", RW: true},
		"data:/b:ro,nocopy": {Type: mount.TypeVolume, Name: "data", Driver: "local", Destination: "/b", Mode: "ro,nocopy"},
		"/b":                {Type: mount.TypeVolume, Driver: "local", Destination: "/b", RW: true},
	} {
		m, err := ParseBind(text, "")
		require.NoError(t, err, text)
		assert.Equal(t, want, m.MountPoint, text)
		assert.Equal(t, want.Type == mount.TypeVolume && want.Name == "", m.Anonymous, text)
	}
	for _, text := range []string{
		"", ":", "a", "/a:", ":/b", "/a:/b:", "/a:b", "/a:/", "/a:/b:ro:rw", "/a:/b:ro,rw", "/a:/b:what", "../x:/b", "a/b:/c",
		"x:/b", "data:/b:rshared", "/a:/b:nocopy", "/a:/b\x00", "-a:/b",
	} {
		_, err := ParseBind(text, "")
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, "%q", text)
	}
}

func TestMounts(t *testing.T) {
	parse := func(m mount.Mount) ([]Mount, error) {
		return Parse(&types.HostConfig{Mounts: []mount.Mount{m}}, nil)
	}
	got, err := parse(mount.Mount{Type: mount.TypeTmpfs, Target: "/t", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20, Mode: 0o700, Options: [][]string{{"exec"}}}})
	require.NoError(t, err)
	assert.Equal(t, []string{"nosuid", "nodev", "size=1048576", "mode=700", "exec"}, got[0].Options)
	got, err = parse(mount.Mount{Type: mount.TypeBind, Source: "/s", Target: "/t", ReadOnly: true, BindOptions: &mount.BindOptions{Propagation: mount.PropagationSlave, NonRecursive: true}})
	require.NoError(t, err)
	assert.True(t, got[0].MustExist && got[0].NonRecursive && !got[0].RW)
	got, err = parse(mount.Mount{Type: mount.TypeVolume, Target: "/t", VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{"a": "b"}, NoCopy: true}})
	require.NoError(t, err)
	assert.True(t, got[0].Anonymous && got[0].NoCopy)
	for _, bad := range []mount.Mount{
		{}, {Type: "odd", Target: "/t"}, {Type: mount.TypeBind, Target: "/t"}, {Type: mount.TypeBind, Source: "rel", Target: "/t"},
		{Type: mount.TypeVolume, Source: "../up", Target: "/t"}, {Type: mount.TypeTmpfs, Source: "/s", Target: "/t"},
		{Type: mount.TypeVolume, Source: "vol", Target: "/t", BindOptions: &mount.BindOptions{}},
		{Type: mount.TypeVolume, Source: "vol", Target: "/t", VolumeOptions: &mount.VolumeOptions{Subpath: "../x"}},
		{Type: mount.TypeTmpfs, Target: "/"}, {Type: mount.TypeTmpfs, Target: "t"},
		{Type: mount.TypeBind, Source: "/s", Target: "/t", BindOptions: &mount.BindOptions{Propagation: "odd"}},
	} {
		_, err := parse(bad)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, "%+v", bad)
	}
	_, err = parse(mount.Mount{Type: mount.TypeImage, Source: "x", Target: "/t"})
	require.ErrorIs(t, err, errdefs.ErrNotImplemented)
}

func TestOneDestinationOneMount(t *testing.T) {
	_, err := Parse(&types.HostConfig{Binds: []string{"/a:/x", "/b:/x/"}}, nil)
	require.ErrorContains(t, err, "Duplicate mount point: /x")
	got, err := Parse(&types.HostConfig{Binds: []string{"/a:/x/y", "/b:/x"}, Tmpfs: map[string]string{"/t": "size=1m,exec"}}, map[string]struct{}{"/x": {}, "/v": {}})
	require.NoError(t, err)
	var order []string
	for _, m := range got {
		order = append(order, m.Destination)
	}
	assert.Equal(t, []string{"/x", "/t", "/v", "/x/y"}, order, "a mount comes before what is mounted below it")
	assert.Equal(t, []string{"nosuid", "nodev", "size=1048576", "exec"}, got[1].Options)
}

func FuzzParseBind(f *testing.F) {
	for _, seed := range []string{"/a:/b:ro", "data:/b", "/b", "a:b:c:d", "/a:/b:rshared,z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseBind(text, "")
		if err != nil {
			require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
			return
		}
		require.True(t, path.IsAbs(m.Destination) && path.Clean(m.Destination) == m.Destination && m.Destination != "/")
		switch m.Type {
		case mount.TypeBind:
			require.True(t, path.IsAbs(m.Source) && path.Clean(m.Source) == m.Source)
		case mount.TypeVolume:
			require.True(t, m.Anonymous || ValidVolumeName(m.Name))
		default:
			t.Fatal(m.Type)
		}
	})
}

func FuzzTmpfs(f *testing.F) {
	f.Add("/t", "size=64m,mode=1777,noexec")
	f.Fuzz(func(t *testing.T, target, options string) {
		m, err := parseTmpfs(target, options)
		if err == nil {
			require.NotEqual(t, "/", m.Destination)
		}
	})
}
