package images

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// explainResolve says in Docker's words why a registry did not have an image.
func explainResolve(named reference.Named, auth *registry.AuthConfig, err error) error {
	name := reference.FamiliarName(named)
	switch {
	case isRefused(err) && hasCredentials(auth):
		return errdefs.ErrUnauthenticated.WithMessage(fmt.Sprintf("unauthorized: %s did not accept the user name and password for %s", reference.Domain(named), name))
	case isRefused(err):
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", name))
	case errdefs.IsNotFound(err):
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("manifest for %s not found: manifest unknown: manifest unknown", reference.FamiliarString(named)))
	case isUntrusted(err):
		return fmt.Errorf("pull %s: %w", reference.FamiliarString(named), untrusted(reference.Domain(named), err))
	}
	return fmt.Errorf("pull %s: %w", reference.FamiliarString(named), err)
}

// explainTags says in Docker's words why a registry did not list its tags.
func explainTags(repository reference.Named, auth *registry.AuthConfig, err error) error {
	var answer remoteerrors.ErrUnexpectedStatus
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("repository %s not found: name unknown", reference.FamiliarName(repository)))
	}
	return explainResolve(repository, auth, err)
}

// isUntrusted tells a registry whose certificate nobody vouches for, or that
// has none.
func isUntrusted(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

func isRefused(err error) bool {
	var answer remoteerrors.ErrUnexpectedStatus
	return errors.Is(err, docker.ErrInvalidAuthorization) ||
		(errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden))
}

// explainFetch says in plain words why a download failed.
func explainFetch(named reference.Named, p *ocispec.Platform, err error) error {
	where := reference.Domain(named)
	switch {
	case strings.Contains(err.Error(), "no match for platform in manifest"):
		return noPlatform(named, p)
	case strings.Contains(err.Error(), "unexpected commit digest"):
		return fmt.Errorf("pull %s: what %s sent is not what it promised, its digest does not match: %w", reference.FamiliarString(named), where, err)
	case isBroken(err):
		return fmt.Errorf("pull %s: %s stopped half-way: try again: %w", reference.FamiliarString(named), where, err)
	}
	return fmt.Errorf("pull %s from %s: %w", reference.FamiliarString(named), where, err)
}

func noPlatform(named reference.Named, p *ocispec.Platform) error {
	wanted := platforms.DefaultSpec()
	if p != nil {
		wanted = *p
	}
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no matching manifest for %s in the manifest list entries of %s", platforms.Format(wanted), reference.FamiliarString(named)))
}

// explainPush says in Docker's words why a registry did not take an image.
func explainPush(ref reference.Named, auth *registry.AuthConfig, err error) error {
	where, name := reference.Domain(ref), reference.FamiliarString(ref)
	switch {
	case isRefused(err) && hasCredentials(auth):
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("denied: requested access to the resource is denied: %s does not let this user push %s", where, name))
	case isRefused(err):
		return errdefs.ErrUnauthenticated.WithMessage(fmt.Sprintf("no basic auth credentials: log in to %s with docker login to push %s", where, name))
	case isUntrusted(err):
		return fmt.Errorf("push %s: %w", name, untrusted(where, err))
	case isBroken(err) && !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("push %s: %s stopped half-way: try again: %w", name, where, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("push %s: %w", name, err)
}

func hasCredentials(auth *registry.AuthConfig) bool {
	return auth != nil && (auth.Username != "" || auth.IdentityToken != "" || auth.RegistryToken != "")
}

func untrusted(where string, err error) error {
	return fmt.Errorf("%s is not trusted: have its certificate signed by an authority that this host trusts, or name it in insecure-registries: %w", where, err)
}

// isBroken tells a connection that ended before its time.
func isBroken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}
