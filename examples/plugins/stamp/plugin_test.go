package stamp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestRoutesAreStampedAndListed(t *testing.T) {
	p, err := New(struct{}{})
	require.NoError(t, err)
	answer := func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
		_, err := w.Write([]byte("pong"))
		return err
	}
	routes := p.UpdateHandler(t.Context(), []*types.HandlerSpec{types.NewHandlerSpec("GET", "/_ping", answer)})
	require.Len(t, routes, 2)

	get := func(r *types.HandlerSpec) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		require.NoError(t, r.HandlerFunc(t.Context(), w, httptest.NewRequest(r.Method, r.Path, nil)))
		return w
	}
	ping := get(routes[0])
	assert.Equal(t, "GET /_ping", ping.Header().Get(Header))
	assert.Equal(t, "pong", ping.Body.String())
	assert.JSONEq(t, `["GET /_ping"]`, get(routes[1]).Body.String())
}
