package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"go.uber.org/zap"
)

// Bounds of a list of tags: how many are asked for at a time, how many bytes
// of an answer are read, and how many tags there may be in all.
const (
	tagsPerPage = 1000
	maxTagsPage = 4 << 20
	maxTags     = 100_000
)

// PullAll pulls every tag that a registry has of a repository, one after the
// other, and ends at the first that it cannot. Progress is as with Pull.
func (s *Service) PullAll(ctx context.Context, repository reference.Named, o PullOptions) error {
	repository = reference.TrimNamed(repository)
	tags, err := s.tags(ctx, repository, o.Auth)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		ref, err := reference.WithTag(repository, tag)
		if err != nil {
			s.log.Warn("a registry has a tag that is none", zap.String("repository", repository.Name()), zap.String("tag", tag))
			continue
		}
		if _, err := s.Pull(ctx, ref, o); err != nil {
			return err
		}
	}
	return nil
}

// tags lists what a registry has of a repository, page by page, as the
// distribution specification says.
func (s *Service) tags(ctx context.Context, repository reference.Named, auth *registry.AuthConfig) ([]string, error) {
	host, path := endpoint(reference.Domain(repository)), reference.Path(repository)
	client := s.registries.client(host)
	authorizer := authorizer(client, host, auth)
	ctx = docker.ContextWithAppendPullRepositoryScope(ctx, path)
	var all []string
	next := &url.URL{Scheme: "https", Host: host, Path: "/v2/" + path + "/tags/list", RawQuery: fmt.Sprintf("n=%d", tagsPerPage)}
	for next != nil {
		page, after, err := s.tagsPage(ctx, client, authorizer, next)
		if err != nil {
			return nil, explainTags(repository, auth, err)
		}
		all = append(all, page...)
		if len(all) > maxTags {
			return nil, errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("pull %s: it has more than %d tags: name those to pull", reference.FamiliarName(repository), maxTags))
		}
		if len(page) == 0 {
			break
		}
		next = after
	}
	return all, nil
}

// tagsPage returns some tags, and where there are more.
func (s *Service) tagsPage(ctx context.Context, client *http.Client, authorizer docker.Authorizer, from *url.URL) (tags []string, next *url.URL, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.registries.stall)
	defer cancel()
	resp, err := get(ctx, client, authorizer, from.String())
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, remoteerrors.NewUnexpectedStatusErr(resp)
	}
	var page struct{ Tags []string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxTagsPage)).Decode(&page); err != nil {
		return nil, nil, fmt.Errorf("cannot read its tags: %w", err)
	}
	return page.Tags, nextPage(from, resp.Header.Values("Link")), nil
}

// nextPage is the link to the next page, which stays at the same registry.
func nextPage(from *url.URL, links []string) *url.URL {
	for _, link := range links {
		target, parameters, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !ok || !strings.Contains(strings.ReplaceAll(parameters, `"`, ""), "rel=next") {
			continue
		}
		if next, err := from.Parse(target); err == nil {
			return &url.URL{Scheme: from.Scheme, Host: from.Host, Path: next.Path, RawQuery: next.RawQuery}
		}
	}
	return nil
}
