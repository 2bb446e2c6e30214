package containerdtest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// Registry is a registry on loopback, without TLS.
type Registry struct {
	// Host is its host:port, the first part of references.
	Host string

	user, password string
}

// NewRegistry starts a registry until the end of the test. Each wrapper may
// spoil its answers.
func NewRegistry(t testing.TB, wrap ...func(http.Handler) http.Handler) *Registry {
	t.Helper()
	var h http.Handler = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	for _, w := range wrap {
		h = w(h)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &Registry{Host: strings.TrimPrefix(server.URL, "http://")}
}

// NewPrivateRegistry starts a registry that wants a password.
func NewPrivateRegistry(t testing.TB, user, password string) *Registry {
	t.Helper()
	r := NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if u, p, ok := req.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	r.user, r.password = user, password
	return r
}

// Push puts an image into the registry as repository, which may have a tag,
// and returns its full reference.
func (r *Registry) Push(t testing.TB, repository string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(r.Host+"/"+repository, name.Insecure)
	require.NoError(t, err)
	auth := authn.Anonymous
	if r.user != "" {
		auth = &authn.Basic{Username: r.user, Password: r.password}
	}
	require.NoError(t, remote.Write(ref, img, remote.WithAuth(auth)))
	return ref.String()
}
