package images

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
)

// dockerHub is how Docker's hub is called in references; it lives elsewhere.
const (
	dockerHub     = "docker.io"
	dockerHubHost = "registry-1.docker.io"
)

// registries knows how to speak to each registry.
type registries struct {
	insecure map[string]bool
	networks []netip.Prefix
	stall    time.Duration
	safe     *http.Client
	careless *http.Client // without TLS if need be
}

func newRegistries(c Config) *registries {
	r := &registries{insecure: map[string]bool{}, stall: c.StallTimeout}
	if r.stall == 0 {
		r.stall = time.Minute
	}
	for _, name := range c.InsecureRegistries {
		if network, err := netip.ParsePrefix(name); err == nil {
			r.networks = append(r.networks, network)
		} else {
			r.insecure[name] = true
		}
	}
	r.safe = &http.Client{Transport: r.transport(&tls.Config{})}
	r.careless = &http.Client{Transport: docker.NewHTTPFallback(r.transport(&tls.Config{InsecureSkipVerify: true}))}
	return r
}

func (r *registries) transport(c *tls.Config) http.RoundTripper {
	t := docker.DefaultHTTPTransport(c)
	t.DialContext = (&net.Dialer{Timeout: min(r.stall, 15*time.Second)}).DialContext
	t.ResponseHeaderTimeout = r.stall
	return t
}

// client is the one for a host with or without port.
func (r *registries) client(host string) *http.Client {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if r.insecure[host] || r.insecure[name] {
		return r.careless
	}
	if loopback, err := docker.MatchLocalhost(host); err == nil && loopback {
		return r.careless
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		for _, n := range r.networks {
			if n.Contains(ip.Unmap()) {
				return r.careless
			}
		}
	}
	return r.safe
}

// resolver speaks to the registry of a name with the given credentials, which
// no other host gets to see.
// tracker, which may be nil, is told what becomes of uploads.
func (r *registries) resolver(named reference.Named, auth *registry.AuthConfig, tracker docker.StatusTracker) remotes.Resolver {
	domain := endpoint(reference.Domain(named))
	authorizer := authorizer(r.client(domain), domain, auth)
	return docker.NewResolver(docker.ResolverOptions{Tracker: tracker, Hosts: func(host string) ([]docker.RegistryHost, error) {
		host = endpoint(host)
		return []docker.RegistryHost{{
			Client:       r.client(host),
			Host:         host,
			Scheme:       "https",
			Path:         "/v2",
			Authorizer:   authorizer,
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve | docker.HostCapabilityPush,
		}}, nil
	}})
}

func endpoint(domain string) string {
	if domain == dockerHub {
		return dockerHubHost
	}
	return domain
}

// authorizer answers the challenges of registries, with credentials only for
// one host.
func authorizer(client *http.Client, domain string, auth *registry.AuthConfig, more ...docker.AuthorizerOpt) docker.Authorizer {
	if auth != nil && auth.RegistryToken != "" {
		return bearer{domain, auth.RegistryToken}
	}
	return docker.NewDockerAuthorizer(append(more, docker.WithAuthClient(client), docker.WithAuthCreds(func(host string) (string, string, error) {
		switch {
		case auth == nil || host != domain:
			return "", "", nil
		case auth.IdentityToken != "":
			return "", auth.IdentityToken, nil
		}
		return auth.Username, auth.Password, nil
	}))...)
}

// bearer shows one host a token that the client has got by itself.
type bearer struct{ host, token string }

// Authorize implements [docker.Authorizer].
func (b bearer) Authorize(_ context.Context, req *http.Request) error {
	if req.URL.Host == b.host {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return nil
}

// AddResponses implements [docker.Authorizer]: there is no other token.
func (b bearer) AddResponses(context.Context, []*http.Response) error {
	return docker.ErrInvalidAuthorization
}
