package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/klauspost/compress/zstd"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tarOf is an archive of entries; text is what is in its files.
func tarOf(t testing.TB, text string, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		h.Mode = 0o644
		require.NoError(t, w.WriteHeader(&h))
		if h.Size > 0 {
			_, err := io.WriteString(w, text)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func headerOf(name string) tar.Header { return tar.Header{Name: name} }

func untar(t testing.TB, r io.ReadCloser) map[string]string {
	t.Helper()
	defer r.Close()
	files := map[string]string{}
	for from := tar.NewReader(r); ; {
		h, err := from.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(from)
		require.NoError(t, err)
		files[h.Name] = string(text)
	}
}

func (d *daemon) copyTo(t testing.TB, id, path string, archive []byte) error {
	t.Helper()
	_, err := d.client.CopyToContainer(testContext(t), id, client.CopyToContainerOptions{DestinationPath: path, Content: bytes.NewReader(archive)})
	return err
}

func (d *daemon) copyFrom(t testing.TB, id, path string) map[string]string {
	t.Helper()
	res, err := d.client.CopyFromContainer(testContext(t), id, client.CopyFromContainerOptions{SourcePath: path})
	require.NoError(t, err)
	return untar(t, res.Content)
}

func TestCopyExportAndDiff(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "cat /in/f; echo changed > /etc/new; sleep 1000", host(func(h *container.HostConfig) { h.Binds = []string{"copied-" + string(d.kind()) + ":/vol2"} }))
		in := tarOf(t, "configured\n", tar.Header{Name: "in/f"}, tar.Header{Name: "vol2/g"})
		encoder, err := zstd.NewWriter(nil)
		require.NoError(t, err)
		require.NoError(t, d.copyTo(t, id, "/", encoder.EncodeAll(in, nil)), "before its first start")
		d.startContainer(t, id)
		require.NoError(t, waitFor(time.Minute, func() bool {
			return d.logs(t, id, client.ContainerLogsOptions{}).stdout == "configured\n" && d.exec(t, id, "cat /etc/new").stdout == "changed\n"
		}))
		assert.Equal(t, "configured\n", d.exec(t, id, "cat /vol2/g").stdout)
		assert.Equal(t, map[string]string{"vol2/": "", "vol2/g": "configured\n"}, d.copyFrom(t, id, "/vol2"))

		diff, err := d.client.ContainerDiff(testContext(t), id, client.ContainerDiffOptions{})
		require.NoError(t, err)
		assert.Equal(t, []container.FilesystemChange{
			{Kind: container.ChangeModify, Path: "/etc"}, {Kind: container.ChangeAdd, Path: "/etc/new"},
			{Kind: container.ChangeAdd, Path: "/in"}, {Kind: container.ChangeAdd, Path: "/in/f"}, {Kind: container.ChangeAdd, Path: "/vol2"},
		}, diff.Changes)
		exported, err := d.client.ContainerExport(testContext(t), id, client.ContainerExportOptions{})
		require.NoError(t, err)
		files := untar(t, exported)
		assert.Equal(t, "changed\n", files["etc/new"])
		assert.NotContains(t, files, "vol2/g")

		_, err = d.client.ContainerStatPath(testContext(t), id, client.ContainerStatPathOptions{Path: "/no/such"})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
		assert.True(t, cerrdefs.IsInvalidArgument(d.copyTo(t, id, "/tmp", tarOf(t, "x", tar.Header{Name: "../../x"}))))
		assert.True(t, cerrdefs.IsInvalidArgument(d.copyTo(t, id, "/tmp", []byte("no archive at all, but long enough to be one"))))
	})
}

// A container that would lead its archive out of its root reaches nothing.
func TestCopyStaysInTheContainer(t *testing.T) {
	d := sharedDaemon(t, embedded)
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("the host's"), 0o644))
	id := d.create(t, "sleep 1000")
	link := tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: outside}
	require.NoError(t, d.copyTo(t, id, "/", tarOf(t, "", link)))
	d.startContainer(t, id)
	_, err := d.client.CopyFromContainer(testContext(t), id, client.CopyFromContainerOptions{SourcePath: "/out/secret"})
	assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	assert.Error(t, d.copyTo(t, id, "/out", tarOf(t, "x", tar.Header{Name: "new"})))
	assert.Error(t, d.copyTo(t, id, "/", tarOf(t, "x", tar.Header{Name: "out/new"})))
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	disk := tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}
	require.NoError(t, d.copyTo(t, id, "/", tarOf(t, "", disk)))
	assert.NotZero(t, d.exec(t, id, "cat /disk").code, "the container's limits let it open no device")
}

// What a client leaves behind that goes in the middle of something is gone, too.
func TestClientsThatDisconnectLeaveNothing(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box:latest")
		id := d.create(t, "while :; do echo line; sleep 0.01; done")
		d.startContainer(t, id)
		require.NoError(t, waitFor(time.Minute, func() bool { return d.logs(t, id, client.ContainerLogsOptions{}).stdout != "" }))
		execution, err := d.client.ExecCreate(context.Background(), id, client.ExecCreateOptions{AttachStdout: true, AttachStdin: true, Cmd: []string{"cat"}})
		require.NoError(t, err)
		descriptors := func() int {
			all, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "fd"))
			require.NoError(t, err)
			return len(all)
		}
		before := descriptors()
		for _, request := range []string{
			"POST /containers/" + id + "/attach?stream=1&stdout=1&stdin=1 HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
			"GET /containers/" + id + "/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n",
			"GET /containers/" + id + "/archive?path=/bin HTTP/1.1\r\nHost: d\r\n\r\n",
			"GET /containers/" + id + "/export HTTP/1.1\r\nHost: d\r\n\r\n",
			"GET /containers/" + id + "/stats HTTP/1.1\r\nHost: d\r\n\r\n",
			"GET /events HTTP/1.1\r\nHost: d\r\n\r\n",
			"PUT /containers/" + id + "/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100),
			"POST /containers/" + id + "/wait HTTP/1.1\r\nHost: d\r\n\r\n",
		} {
			conn, err := net.Dial("unix", d.socket)
			require.NoError(t, err)
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
			if !strings.HasPrefix(request, "PUT") {
				_, err = io.ReadFull(conn, make([]byte, 100)) // in the middle
				require.NoError(t, err, request)
			}
			require.NoError(t, conn.Close())
		}
		attached, err := d.client.ExecAttach(context.Background(), execution.ID, client.ExecAttachOptions{})
		require.NoError(t, err)
		attached.Close()
		require.NoError(t, waitFor(time.Minute, func() bool { return descriptors() <= before+1 }), "%d descriptors before, %d after", before, descriptors())
		assert.Equal(t, "ok\n", d.exec(t, id, "echo ok").stdout)
		assert.NotContains(t, d.log.String(), "  ERROR  ")
	})
}
