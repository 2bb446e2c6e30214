package images

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A registry that hands out tokens may give one in place of the password.
func TestLoginAtARegistryWithTokens(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			known := r.FormValue("username") == "joe" && r.FormValue("password") == "secret" || r.FormValue("refresh_token") == "kept"
			if !known {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "pass", "refresh_token": "kept", "expires_in": 60})
		case "/v2/":
			if r.Header.Get("Authorization") != "Bearer pass" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+server.URL+`/token",service="test"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	s := &Service{registries: newRegistries(Config{StallTimeout: 2 * time.Second})}
	answer, err := s.CheckAuth(t.Context(), registry.AuthConfig{Username: "joe", Password: "secret", ServerAddress: host})
	require.NoError(t, err)
	assert.Equal(t, registry.AuthResponse{Status: "Login Succeeded", IdentityToken: "kept"}, answer)
	_, err = s.CheckAuth(t.Context(), registry.AuthConfig{IdentityToken: "kept", ServerAddress: host})
	require.NoError(t, err)
	_, err = s.CheckAuth(t.Context(), registry.AuthConfig{Username: "joe", Password: "wrong", ServerAddress: host})
	assert.ErrorIs(t, err, errdefs.ErrUnauthenticated)
	assert.NotContains(t, err.Error(), "wrong")
}

// A client may have got a token by itself; no other host sees it.
func TestATokenIsShownToItsRegistry(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer given" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client := newRegistries(Config{StallTimeout: 2 * time.Second}).client(host)
	for _, c := range []struct {
		host, token string
		ok          bool
	}{{host, "given", true}, {host, "other", false}, {"elsewhere", "given", false}} {
		resp, err := get(t.Context(), client, authorizer(client, c.host, &registry.AuthConfig{RegistryToken: c.token}), server.URL)
		if c.ok {
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		} else {
			require.True(t, isRefused(err), "%v", err)
		}
	}
}
