package hookplugins_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/gorilla/mux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins/hookplugins"
	"github.com/pouchfx/pouchfx/types"
)

type wraps struct{}

func (wraps) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	next := routes[0].HandlerFunc
	routes[0].HandlerFunc = func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		mux.Vars(req)["name"] = strings.TrimPrefix(mux.Vars(req)["name"], "/")
		if req.FormValue("t") != "" {
			req.Form.Set("t", "changed")
		}
		return next(ctx, rw, req)
	}
	return append(routes, nil, types.NewHandlerSpec("GET", "/nothing", nil))
}

func TestAWrapperChangesVariablesAndQueryForWhatItWraps(t *testing.T) {
	p, err := hookplugins.API(wraps{})
	require.NoError(t, err)
	var name, id, query string
	routes := p.UpdateHandler(t.Context(), []*types.HandlerSpec{types.NewHandlerSpec("GET", "/a/{name:.*}/b/{id}",
		func(_ context.Context, _ http.ResponseWriter, req *http.Request) error {
			name, id, query = req.PathValue("name"), req.PathValue("id"), req.URL.RawQuery
			return nil
		})})
	require.Len(t, routes, 3, "what is wrong with a list is for the registry to say")
	for asked, want := range map[string]string{"": "", "?t=1&u=2": "t=changed&u=2", "?u=2&x=%20": "u=2&x=%20"} {
		req := httptest.NewRequest("GET", "/"+asked, nil)
		req.SetPathValue("name", "/web/db")
		req.SetPathValue("id", "7")
		require.NoError(t, routes[0].HandlerFunc(t.Context(), httptest.NewRecorder(), req))
		assert.Equal(t, "web/db", name)
		assert.Equal(t, "7", id)
		assert.Equal(t, want, query)
	}
}

func TestAnErrorWithACodeIsOfItsClass(t *testing.T) {
	cause := errors.New("the cause")
	err := hookplugins.NewHTTPError(cause, http.StatusNotFound)
	assert.EqualError(t, err, "the cause")
	assert.ErrorIs(t, err, cause)
	assert.True(t, errdefs.IsNotFound(err))
}
