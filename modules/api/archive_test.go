package api

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// fakeFiles answers for the files of a container.
type fakeFiles struct {
	stat    container.PathStat
	content string
	broken  error // after the content
	copied  containers.CopyToOptions
	body    string
	changes []container.FilesystemChange
}

func (f *fakeContainers) PathStat(_ context.Context, name, _ string) (container.PathStat, error) {
	return f.files.stat, f.find(name)
}
func (f *fakeContainers) CopyFrom(_ context.Context, name, _ string, begin func(container.PathStat) io.Writer) error {
	if err := f.find(name); err != nil {
		return err
	}
	_, err := io.WriteString(begin(f.files.stat), f.files.content)
	if err != nil {
		return err
	}
	return f.files.broken
}
func (f *fakeContainers) CopyTo(_ context.Context, name string, o containers.CopyToOptions, archive io.Reader) error {
	text, err := io.ReadAll(archive)
	f.files.copied, f.files.body = o, string(text)
	if err != nil {
		return err
	}
	return f.find(name)
}
func (f *fakeContainers) Export(_ context.Context, name string, begin func() io.Writer) error {
	if err := f.find(name); err != nil {
		return err
	}
	_, err := io.WriteString(begin(), f.files.content)
	return err
}
func (f *fakeContainers) Changes(_ context.Context, name string) ([]container.FilesystemChange, error) {
	return f.files.changes, f.find(name)
}

func TestArchives(t *testing.T) {
	d := startDaemon(t)
	c := d.client()
	d.containers.files = fakeFiles{
		stat:    container.PathStat{Name: "f", Size: 4, Mode: 0o644, Mtime: time.Unix(1, 0).UTC(), LinkTarget: "/t"},
		content: "tar", changes: []container.FilesystemChange{{Kind: container.ChangeDelete, Path: "/gone"}},
	}
	st, err := c.ContainerStatPath(t.Context(), "web", client.ContainerStatPathOptions{Path: "/f"})
	require.NoError(t, err)
	assert.Equal(t, d.containers.files.stat, st.Stat)

	from, err := c.CopyFromContainer(t.Context(), "web", client.CopyFromContainerOptions{SourcePath: "/f"})
	require.NoError(t, err)
	text, err := io.ReadAll(from.Content)
	require.NoError(t, err)
	require.NoError(t, from.Content.Close())
	assert.Equal(t, "tar", string(text))
	assert.Equal(t, "f", from.Stat.Name)

	_, err = c.CopyToContainer(t.Context(), "web", client.CopyToContainerOptions{DestinationPath: "/d", CopyUIDGID: true, Content: strings.NewReader("body")})
	require.NoError(t, err)
	assert.Equal(t, containers.CopyToOptions{Path: "/d/", CopyUIDGID: true, NoOverwriteDirNonDir: true}, withSlash(d.containers.files.copied))
	assert.Equal(t, "body", d.containers.files.body)

	exported, err := c.ContainerExport(t.Context(), "web", client.ContainerExportOptions{})
	require.NoError(t, err)
	text, err = io.ReadAll(exported)
	require.NoError(t, err)
	require.NoError(t, exported.Close())
	assert.Equal(t, "tar", string(text))

	diff, err := c.ContainerDiff(t.Context(), "web", client.ContainerDiffOptions{})
	require.NoError(t, err)
	assert.Equal(t, d.containers.files.changes, diff.Changes)
}

func withSlash(o containers.CopyToOptions) containers.CopyToOptions {
	o.Path = strings.TrimSuffix(o.Path, "/") + "/"
	return o
}

func TestArchiveAnswersOnTheWire(t *testing.T) {
	d := startDaemon(t)
	d.containers.files.content = "tar"
	conn := d.dial()
	res, body := conn.do("GET", "/containers/web/archive?path=/f", "")
	assert.Equal(t, "application/x-tar", res.Header.Get("Content-Type"))
	stat, err := base64.StdEncoding.DecodeString(res.Header.Get("X-Docker-Container-Path-Stat"))
	require.NoError(t, err)
	assert.Equal(t, `{"name":"","size":0,"mode":0,"mtime":"0001-01-01T00:00:00Z","linkTarget":""}`, string(stat))
	assert.Equal(t, "tar", body)
	res, _ = conn.do("HEAD", "/containers/nosuch/archive?path=/f", "")
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
	res, body = conn.do("GET", "/containers/web/archive", "")
	assert.Equal(t, http.StatusBadRequest, res.StatusCode)
	assert.Contains(t, body, "path cannot be empty")
	res, body = conn.do("GET", "/containers/web/changes", "")
	assert.Equal(t, "null", strings.TrimSpace(body))
	assert.Equal(t, http.StatusOK, res.StatusCode)
}

// A client must not take half an archive for a whole one.
func TestAnArchiveThatBreaksOffIsNoWholeAnswer(t *testing.T) {
	d := startDaemon(t)
	d.containers.files = fakeFiles{content: strings.Repeat("half", 4<<10), broken: io.ErrUnexpectedEOF}
	from, err := d.client().CopyFromContainer(t.Context(), "web", client.CopyFromContainerOptions{SourcePath: "/f"})
	require.NoError(t, err)
	_, err = io.ReadAll(from.Content)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, from.Content.Close())
}

// An upload may begin late, but one that others wait for may not pause for long.
func TestAnUploadThatPausesIsEnded(t *testing.T) {
	const pause = 200 * time.Millisecond
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(newUpload(w, r, pause))
		ended <- err
	}))
	defer server.Close()
	from, to := io.Pipe()
	go func() {
		time.Sleep(3 * pause) // not yet begun
		_, _ = io.WriteString(to, "half")
	}()
	defer to.Close()
	res, err := http.Post(server.URL, "application/x-tar", from)
	if err == nil {
		res.Body.Close()
	}
	require.ErrorIs(t, <-ended, errSlowBody)
	from.Close()
}
