package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/registry"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Bounds of a search, as dockerd has them.
const (
	defaultResults = 25
	maxResults     = 100
	// maxSearch bounds a registry's answer, in bytes.
	maxSearch = 4 << 20
)

// dockerHubSearch is where Docker's hub is searched.
const dockerHubSearch = "index.docker.io"

// SearchOptions choose among what a search finds.
type SearchOptions struct {
	// Limit is how many results are wanted; 0 means 25.
	Limit int
	// Filters are is-automated, is-official and stars.
	Filters filters.Args
	// Auth is shown to the registry that is searched.
	Auth *registry.AuthConfig
}

// Search asks a registry for the repositories that a term is about: the one
// that the term begins with, as in registry.example.com/term, else Docker's
// hub. Registries that only store images have no search; then the error is of
// class errdefs.ErrNotImplemented.
func (s *Service) Search(ctx context.Context, term string, o SearchOptions) ([]registry.SearchResult, error) {
	if o.Limit == 0 {
		o.Limit = defaultResults
	}
	if o.Limit < 1 || o.Limit > maxResults {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("Limit %d is outside the range of [1, %d]", o.Limit, maxResults))
	}
	keep, err := searchFilter(o.Filters)
	if err != nil {
		return nil, err
	}
	host, text, err := searched(term)
	if err != nil {
		return nil, err
	}
	all, err := s.askSearch(ctx, host, text, o)
	if err != nil {
		return nil, err
	}
	found := []registry.SearchResult{}
	for _, r := range all.Results {
		if keep(r) {
			found = append(found, r)
		}
	}
	return found, nil
}

// searched splits a term into the registry and what to look for.
func searched(term string) (host, text string, err error) {
	if strings.Contains(term, "://") {
		return "", "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid repository name: repository name (%s) should not have a scheme", term))
	}
	host, text, ok := strings.Cut(term, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, text = dockerHub, term
	}
	if host == dockerHub || host == dockerHubSearch {
		host, text = dockerHubSearch, strings.TrimPrefix(text, "library/")
	}
	if text == "" {
		return "", "", errdefs.ErrInvalidArgument.WithMessage("nothing to search for: give a term")
	}
	return host, text, nil
}

func (s *Service) askSearch(ctx context.Context, host, text string, o SearchOptions) (*registry.SearchResults, error) {
	ctx, cancel := context.WithTimeout(ctx, s.registries.stall)
	defer cancel()
	where := url.URL{Scheme: "https", Host: host, Path: "/v1/search", RawQuery: url.Values{"q": {text}, "n": {strconv.Itoa(o.Limit)}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	if o.Auth != nil && o.Auth.Username != "" {
		req.SetBasicAuth(o.Auth.Username, o.Auth.Password)
	}
	resp, err := s.registries.client(host).Do(req)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, errdefs.ErrUnauthenticated.WithMessage(fmt.Sprintf("unauthorized: %s lets only known users search: log in with docker login", host))
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, noSearch(host, fmt.Sprintf("Unexpected status code %d", resp.StatusCode))
	default:
		return nil, fmt.Errorf("search: %s answered %s", host, resp.Status)
	}
	var found registry.SearchResults
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxSearch)).Decode(&found); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("search: %s did not answer in time: %w", host, ctx.Err())
		}
		return nil, noSearch(host, "its answer is none")
	}
	return &found, nil
}

func noSearch(host, why string) error {
	return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("%s: registry %s has no search: use its web page, or list it with https://%[2]s/v2/_catalog", why, host))
}

// searchFilter returns what the filters let pass.
func searchFilter(f filters.Args) (func(registry.SearchResult) bool, error) {
	if err := f.Validate("is-automated", "is-official", "stars"); err != nil {
		return nil, err
	}
	official, err := f.Bool("is-official", false)
	if err != nil {
		return nil, err
	}
	automated, err := f.Bool("is-automated", false)
	if err != nil {
		return nil, err
	}
	stars := 0
	for _, text := range f.Get("stars") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid filter 'stars=%s': use a number", text))
		}
		stars = max(stars, n)
	}
	return func(r registry.SearchResult) bool {
		return r.StarCount >= stars &&
			(!f.Has("is-official") || r.IsOfficial == official) &&
			!automated // Docker's hub builds none any more, and tells it of none
	}, nil
}
