package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

// tarOf is an archive of one file.
func tarOf(t testing.TB, name, text string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Size: int64(len(text)), Uid: 5, Gid: 6}))
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &b
}

// copyFrom returns the files of an archive by name.
func (f *fixture) copyFrom(t testing.TB, id, path string) map[string]string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f.CopyFrom(t.Context(), id, path, func(container.PathStat) io.Writer { return &b }))
	return untar(t, &b)
}

func untar(t testing.TB, from io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		files[h.Name] = string(text)
	}
}

func TestFilesAreCopiedWhetherTheContainerRunsOrNot(t *testing.T) {
	f := newFixture(t, nil)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host"), []byte("bound"), 0o644))
	id := f.create(t, "web", func(c *types.ContainerCreateConfig) {
		c.User = "app"
		c.HostConfig.Binds = []string{dir + ":/bound:ro", "data:/data"}
		c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeTmpfs, Target: "/t"}}
	}, "sh", "-c", "sleep 1000")
	mounts := func() int {
		all, err := mountinfo.GetMounts(mountinfo.PrefixFilter("/tmp"))
		require.NoError(t, err)
		return len(all)
	}
	before := mounts()
	for _, state := range []string{"created", "running", "exited"} {
		switch state {
		case "running":
			require.NoError(t, f.Service.Start(t.Context(), id))
		case "exited":
			none := 0
			require.NoError(t, f.Service.Stop(t.Context(), id, &none, ""))
		}
		t.Run(state, func(t *testing.T) {
			assert.Equal(t, map[string]string{"host": "bound"}, f.copyFrom(t, id, "/bound/host"))
			assert.Equal(t, "from the image\n", f.copyFrom(t, "web", "vol/.")["./from-image"])
			for _, place := range []string{"/data", "/root", "/vol"} {
				require.NoError(t, f.CopyTo(t.Context(), id, CopyToOptions{Path: place}, tarOf(t, "sub/"+state, "text")))
				assert.Equal(t, map[string]string{state: "text"}, f.copyFrom(t, id, place+"/sub/"+state))
			}
			require.NoError(t, f.CopyTo(t.Context(), id, CopyToOptions{Path: "/", CopyUIDGID: true}, tarOf(t, "owned", "x")))
			st, err := f.PathStat(t.Context(), id, "/bin/sh")
			require.NoError(t, err)
			assert.Equal(t, "/bin/box", st.LinkTarget)
			_, err = f.PathStat(t.Context(), "web", "/no/such")
			assert.EqualError(t, err, "Could not find the file /no/such in container web")
			assert.True(t, errdefs.IsNotFound(err))
			err = f.CopyTo(t.Context(), id, CopyToOptions{Path: "/bound"}, tarOf(t, "x", ""))
			assert.EqualError(t, err, "mounted volume is marked read-only")
			assert.True(t, errdefs.IsPermissionDenied(err))
			err = f.CopyTo(t.Context(), id, CopyToOptions{Path: "/etc/passwd"}, tarOf(t, "x", ""))
			assert.EqualError(t, err, "extraction point is not a directory")
			err = f.CopyTo(t.Context(), id, CopyToOptions{Path: "/root"}, bytes.NewReader(bytes.Repeat([]byte("x"), 1024)))
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
		})
	}
	require.NoError(t, f.Service.Start(t.Context(), id))
	assert.Equal(t, "web", f.inspect(t, id).Name[1:])
	assert.Contains(t, f.copyFrom(t, id, "/etc/hostname")["hostname"], id[:12])
	assert.Equal(t, "text", f.copyFrom(t, id, "/data/sub/created")["created"])
	require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{Force: true}))
	require.Eventually(t, func() bool { return mounts() == before }, time.Minute, 10*time.Millisecond, "nothing stays mounted")
}

func TestAReadOnlyRootIsNotWrittenTo(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.HostConfig.ReadonlyRootfs, c.HostConfig.Binds = true, []string{"data:/new/data"}
	}, "true")
	err := f.CopyTo(t.Context(), id, CopyToOptions{Path: "/root"}, tarOf(t, "x", ""))
	assert.EqualError(t, err, "container rootfs is marked read-only")
	require.NoError(t, f.CopyTo(t.Context(), id, CopyToOptions{Path: "/new/data"}, tarOf(t, "x", "y")))
	assert.Equal(t, "y", f.copyFrom(t, id, "/new/data")["data/x"])
}

// A client that has gone, or does not read, must not keep the container from
// being started again.
func TestAStalledCopyHoldsNoStart(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", nil, "sleep", "1000")
	require.NoError(t, f.Service.Start(t.Context(), id))
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- f.CopyFrom(context.Background(), id, "/bin", func(container.PathStat) io.Writer { return to })
	}()
	_, err := from.Read(make([]byte, 512))
	require.NoError(t, err)
	none := 0
	begun := time.Now()
	require.NoError(t, f.Service.Restart(t.Context(), id, &none, ""))
	assert.Less(t, time.Since(begun), time.Minute)
	from.Close()
	assert.Error(t, <-done)
	assert.Equal(t, "web", f.withFile(t, id))
}

// Nor does one who is still to send the first of what he copies.
func TestACopyThatHasNotBegunHoldsNoStart(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", nil, "true")
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- f.CopyTo(context.Background(), id, CopyToOptions{Path: "/tmp"}, from) }()
	_, err := to.Write(nil) // it reads
	require.NoError(t, err)
	assert.Zero(t, f.startAndWait(t, id))
	_, err = io.Copy(to, tarOf(t, "late", "web"))
	require.NoError(t, err)
	require.NoError(t, to.Close())
	require.NoError(t, <-done)
	assert.Equal(t, "web", f.copyFrom(t, id, "/tmp/late")["late"])
}

// withFile copies a file into a container and out again.
func (f *fixture) withFile(t *testing.T, id string) string {
	t.Helper()
	require.NoError(t, f.CopyTo(t.Context(), id, CopyToOptions{Path: "/tmp"}, tarOf(t, "file", "web")))
	return f.copyFrom(t, id, "/tmp/file")["file"]
}

func TestExportAndChanges(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) {
		c.HostConfig.Binds = []string{"data:/data"}
	}, "sh", "-c", "echo x > /data/f; mkdir /tmp/new; echo y > /tmp/new/f; rm /vol; touch /etc/passwd2; echo; sleep 1000")
	found, err := f.Changes(t.Context(), id)
	require.NoError(t, err)
	assert.Empty(t, found)
	require.NoError(t, f.Service.Start(t.Context(), id))
	require.Eventually(t, func() bool { return f.logs(t, id, LogsOptions{Tail: -1}).text(1) == "\n" }, time.Minute, 10*time.Millisecond)
	for _, state := range []string{"running", "exited"} {
		if state == "exited" {
			none := 0
			require.NoError(t, f.Service.Stop(t.Context(), id, &none, ""))
		}
		found, err := f.Changes(t.Context(), id)
		require.NoError(t, err)
		var shown []string
		for _, c := range found {
			shown = append(shown, c.Kind.String()+" "+c.Path)
		}
		for _, want := range []string{"A /tmp/new", "A /tmp/new/f", "D /vol", "C /etc", "A /etc/passwd2", "A /data"} {
			assert.Contains(t, shown, want, state)
		}
		assert.NotContains(t, shown, "A /etc/hosts", "dockerd has it in a layer below")
		assert.NotContains(t, shown, "A /data/f", "what is mounted is not the container's")
		var b bytes.Buffer
		require.NoError(t, f.Export(t.Context(), id, func() io.Writer { return &b }))
		files := untar(t, &b)
		assert.Equal(t, "y\n", files["tmp/new/f"], state)
		assert.Contains(t, files, "bin/box")
		assert.Contains(t, files, "data/")
		assert.NotContains(t, files, "data/f")
		assert.NotContains(t, files, "vol/")
	}
}

// It is a file like others: what runs in the container may remove it.
func TestContainersHaveDockersMark(t *testing.T) {
	f := newFixture(t, nil)
	for _, snapshotter := range []string{"overlayfs", "native"} {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.Snapshotter = snapshotter }, "rm", "/.dockerenv")
		found, err := f.Changes(t.Context(), id)
		require.NoError(t, err)
		assert.Empty(t, found, snapshotter)
		var b bytes.Buffer
		require.NoError(t, f.Export(t.Context(), id, func() io.Writer { return &b }))
		assert.Contains(t, untar(t, &b), ".dockerenv", snapshotter)
		assert.Zero(t, f.startAndWait(t, id), snapshotter)
	}
}
