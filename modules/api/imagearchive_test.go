package api

import (
	"context"
	"io"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
