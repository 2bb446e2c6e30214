package images

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/registry"
)

// CheckAuth logs in to the registry at auth.ServerAddress, Docker's hub when
// that is empty, and returns what the docker CLI prints then. A registry may
// give a token that clients keep in place of the password. A refusal is of
// class errdefs.ErrUnauthenticated.
func (s *Service) CheckAuth(ctx context.Context, auth registry.AuthConfig) (registry.AuthResponse, error) {
	var answer registry.AuthResponse
	host := registryOf(auth.ServerAddress)
	client := s.registries.client(host)
	authorizer := authorizer(client, host, &auth, docker.WithFetchRefreshToken(func(_ context.Context, token string, _ *http.Request) {
		answer.IdentityToken = token
	}))
	url := "https://" + host + "/v2/"
	var answers []*http.Response
	for range 3 { // challenge, token, perhaps a fresh token
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return registry.AuthResponse{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("registry address %q: %s", auth.ServerAddress, err))
		}
		if err := authorizer.Authorize(ctx, req); err != nil {
			return registry.AuthResponse{}, refused(host, err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return registry.AuthResponse{}, fmt.Errorf("log in to %s: %w", host, err)
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			answer.Status = "Login Succeeded"
			return answer, nil
		case http.StatusUnauthorized:
			answers = append(answers, resp)
			if err := authorizer.AddResponses(ctx, answers); err != nil {
				return registry.AuthResponse{}, refused(host, err)
			}
		default:
			return registry.AuthResponse{}, fmt.Errorf("log in to %s: it answered %s", host, resp.Status)
		}
	}
	return registry.AuthResponse{}, refused(host, docker.ErrInvalidAuthorization)
}

func refused(host string, err error) error {
	return errdefs.ErrUnauthenticated.WithMessage(fmt.Sprintf("unauthorized: %s did not accept the user name and password: %s", host, err))
}

// registryOf is the host in the address of a registry as clients give it: with
// or without scheme and path, and for Docker's hub a name of its own.
func registryOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	switch address {
	case "", "index." + dockerHub, "registry." + dockerHub, dockerHub:
		return dockerHubHost
	}
	return address
}
