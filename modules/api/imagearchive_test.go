package api

import (
	"context"
	"io"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/images"
)

func (f *fakeImages) Save(_ context.Context, names []string, w io.Writer) error {
	f.saved = names
	if f.err != nil {
		return f.err
	}
	_, err := io.WriteString(w, "an archive")
	return err
}

func TestSave(t *testing.T) {
	d := startDaemon(t)
	res, body := d.dial().do("GET", "/v1.44/images/get?names=a&names=b%3A1", "")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "application/x-tar", res.Header.Get("Content-Type"))
	assert.Equal(t, "an archive", body)
	assert.Equal(t, []string{"a", "b:1"}, d.images.saved)
	_, body = d.dial().do("GET", "/images/127.0.0.1:5000/a/b:1/get", "")
	assert.Equal(t, "an archive", body)
	assert.Equal(t, []string{"127.0.0.1:5000/a/b:1"}, d.images.saved)

	saved, err := d.client().ImageSave(t.Context(), []string{"a"})
	require.NoError(t, err)
	text, err := io.ReadAll(saved)
	require.NoError(t, err)
	assert.Equal(t, "an archive", string(text))
	require.NoError(t, saved.Close())

	d.images.err = errdefs.ErrNotFound.WithMessage("No such image: nosuch")
	res, body = d.dial().do("GET", "/images/nosuch/get", "")
	assert.Equal(t, 404, res.StatusCode)
	assert.Equal(t, "application/json", res.Header.Get("Content-Type"))
	assert.Equal(t, `{"message":"No such image: nosuch"}`+"\n", body)
}

func (f *fakeImages) Import(_ context.Context, o images.ImportOptions) (digest.Digest, error) {
	var err error
	f.imported = o
	f.loaded, err = io.ReadAll(o.Source)
	if f.err != nil {
		err = f.err
	}
	return "sha256:1", err
}

func TestImport(t *testing.T) {
	d := startDaemon(t)
	res, body := d.dial().do("POST", "/v1.44/images/create?fromSrc=-&repo=imp%3A1&message=why&changes=CMD+x&changes=ENV+A%3Db&platform=linux%2Famd64", "a tar")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, `{"status":"sha256:1"}`+"\r\n", body)
	assert.Equal(t, "a tar", string(d.images.loaded))
	assert.Equal(t, "docker.io/library/imp:1", d.images.imported.Target.String())
	assert.Equal(t, []string{"CMD x", "ENV A=b"}, d.images.imported.Changes)
	assert.Equal(t, "why", d.images.imported.Message)
	assert.Equal(t, "amd64", d.images.imported.Platform.Architecture)

	res, body = d.dial().do("POST", "/images/create?fromSrc=https://a.example/x.tar&repo=imp", "")
	assert.Equal(t, 501, res.StatusCode)
	assert.Contains(t, body, "importing from a URL is not supported")
	d.images.err = errdefs.ErrInvalidArgument.WithMessage("no tar")
	res, body = d.dial().do("POST", "/images/create?fromSrc=-", "x")
	assert.Equal(t, 400, res.StatusCode)
	assert.Equal(t, `{"message":"no tar"}`+"\n", body)
	assert.Nil(t, d.images.imported.Target)
}
