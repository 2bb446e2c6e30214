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
	resp, err := get(ctx, client, authorizer, "https://"+host+"/v2/")
	switch {
	case err != nil && isRefused(err):
		return registry.AuthResponse{}, refused(host, err)
	case err != nil:
		return registry.AuthResponse{}, fmt.Errorf("log in to %s: %w", host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return registry.AuthResponse{}, fmt.Errorf("log in to %s: it answered %s", host, resp.Status)
	}
	answer.Status = "Login Succeeded"
	return answer, nil
}

// get asks a registry, and answers when it wants to know who asks. What it
// answers in the end is no http.StatusUnauthorized: that is an error for which
// isRefused is true.
func get(ctx context.Context, client *http.Client, authorizer docker.Authorizer, url string) (*http.Response, error) {
	var answers []*http.Response
	for range 3 { // challenge, token, perhaps a fresh token
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
		}
		if err := authorizer.Authorize(ctx, req); err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
		_ = resp.Body.Close()
		answers = append(answers, resp)
		if err := authorizer.AddResponses(ctx, answers); err != nil {
			return nil, err
		}
	}
	return nil, docker.ErrInvalidAuthorization
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
