package images

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhoMayBeSpokenToWithoutTLS(t *testing.T) {
	r := newRegistries(Config{InsecureRegistries: []string{"reg.example.com", "other.example.com:5000", "10.1.0.0/16"}})
	for host, careless := range map[string]bool{
		"reg.example.com": true, "reg.example.com:5000": true, "other.example.com:5000": true, "10.1.2.3:5000": true, "10.1.2.3": true,
		"localhost:5000": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]:5000": true,
		"other.example.com": false, "10.2.0.1:5000": false, "registry-1.docker.io": false, "localhost.example.com": false,
	} {
		assert.Equal(t, careless, r.client(host) == r.careless, host)
	}
}

func TestARegistryWithACertificateThatNobodyVouchesFor(t *testing.T) {
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	r := newRegistries(Config{})
	get := func(c *http.Client) error {
		resp, err := c.Get("https://" + host + "/v2/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get(r.careless))
	err := get(r.safe)
	require.Error(t, err)
	assert.True(t, errors.As(err, new(*tls.CertificateVerificationError)))
	named, err2 := reference.ParseNormalizedNamed(host + "/x")
	require.NoError(t, err2)
	assert.ErrorContains(t, explainResolve(named, nil, err), "insecure-registries")
}

func TestPlainHTTPIsOnlyForThoseConfigured(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	r := newRegistries(Config{})
	_, err := r.safe.Get(strings.Replace(server.URL, "http://", "https://", 1) + "/v2/")
	require.Error(t, err)
	assert.True(t, isUntrusted(err), err)
	resp, err := r.careless.Get(strings.Replace(server.URL, "http://", "https://", 1) + "/v2/")
	require.NoError(t, err)
	_ = resp.Body.Close()
}

func TestRegistryOf(t *testing.T) {
	for address, host := range map[string]string{
		"":                            dockerHubHost,
		"https://index.docker.io/v1/": dockerHubHost,
		"docker.io":                   dockerHubHost,
		"127.0.0.1:5000":              "127.0.0.1:5000",
		"http://reg.example.com/v2/":  "reg.example.com",
	} {
		assert.Equal(t, host, registryOf(address), address)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"alpine", "a/b:c", "127.0.0.1:5000/x@sha256:" + strings.Repeat("a", 64), "A", "../x", "x:1@sha256:" + strings.Repeat("a", 64), "sha256:abc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if prefix, ok := idPrefix(name); ok && (prefix == "" || len(prefix) > 64) {
			t.Errorf("%q has the ID prefix %q", name, prefix)
		}
		named, err := parse(name)
		if err != nil {
			return
		}
		again, err := parse(named.String())
		if err != nil || again.String() != named.String() {
			t.Errorf("%q becomes %q, and that %v, %v", name, named, again, err)
		}
		if dangling(named.String()) {
			t.Errorf("%q is a name that stands for none", named)
		}
	})
}
