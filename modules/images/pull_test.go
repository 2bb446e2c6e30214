package images_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/images"
)

func TestPullTellsItsProgressAndRunsTheHookBeforeTheNameExists(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ref := containerdtest.NewRegistry(t).Push(t, "test/small:1", small(t))
		var kept client.Image
		calls := 0
		s := newService(t, e, func(ctx context.Context, snapshotter string, i client.Image) error {
			kept = i
			assert.Equal(t, e.Snapshotter(), snapshotter)
			unpacked, err := i.IsUnpacked(ctx, snapshotter)
			assert.NoError(t, err)
			assert.True(t, unpacked)
			if calls++; calls == 1 {
				_, err = e.Client().GetImage(ctx, i.Name())
				assert.ErrorIs(t, err, errdefs.ErrNotFound, "the name must not be there yet")
			}
			return nil
		})
		var said []string
		i, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{Progress: func(m jsonstream.Message) {
			said = append(said, strings.TrimSpace(m.ID+" "+m.Status))
		}})
		require.NoError(t, err)
		config, err := small(t).ConfigName()
		require.NoError(t, err)
		assert.Equal(t, config.String(), i.ID.String())
		assert.Equal(t, ref, i.Reference)

		all := strings.Join(said, "\n")
		assert.Equal(t, "1 Pulling from test/small", said[0])
		for status, times := range map[string]int{"Pulling fs layer": 2, "Download complete": 2, "Extracting": 2, "Pull complete": 2, "Digest: sha256:": 1} {
			assert.Equal(t, times, strings.Count(all, status), "%s in:\n%s", status, all)
		}
		assert.Equal(t, "Status: Downloaded newer image for "+ref, said[len(said)-1])

		// What a plugin keeps works when the request is long over.
		_, err = kept.Config(context.Background())
		require.NoError(t, err)
		require.NoError(t, kept.Unpack(context.Background(), "native"))
		unpacked, err := kept.IsUnpacked(context.Background(), "native")
		require.NoError(t, err)
		assert.True(t, unpacked)

		said = nil
		_, err = s.Pull(t.Context(), named(t, ref), images.PullOptions{Progress: func(m jsonstream.Message) {
			said = append(said, strings.TrimSpace(m.ID+" "+m.Status))
		}})
		require.NoError(t, err)
		assert.Equal(t, 2, strings.Count(strings.Join(said, "\n"), "Already exists"), said)
		assert.NotContains(t, strings.Join(said, "\n"), "Pulling fs layer")
		assert.Equal(t, "Status: Image is up to date for "+ref, said[len(said)-1])
	})
}

func TestAHookThatFailsLeavesNoImage(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ref := containerdtest.NewRegistry(t).Push(t, "test/small:1", small(t))
		refusal := errors.New("not signed")
		s := newService(t, e, func(context.Context, string, client.Image) error { return refusal })
		_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{})
		require.ErrorIs(t, err, refusal)
		requireNothing(t, e)
	})
}

func TestPullWithPassword(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	private := containerdtest.NewPrivateRegistry(t, "joe", "secret")
	ref := private.Push(t, "test/small:1", small(t))
	said := 0
	progress := func(jsonstream.Message) { said++ }

	_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{Progress: progress})
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	assert.ErrorContains(t, err, "pull access denied for "+private.Host+"/test/small, repository does not exist or may require 'docker login'")

	_, err = s.Pull(t.Context(), named(t, ref), images.PullOptions{Progress: progress, Auth: &registry.AuthConfig{Username: "joe", Password: "wrong"}})
	assert.ErrorIs(t, err, errdefs.ErrUnauthenticated)
	assert.NotContains(t, err.Error(), "wrong")
	assert.Zero(t, said, "an error that is the whole answer comes before any progress")
	requireNothing(t, e)

	auth := registry.AuthConfig{Username: "joe", Password: "secret", ServerAddress: private.Host}
	_, err = s.Pull(t.Context(), named(t, ref), images.PullOptions{Auth: &auth})
	require.NoError(t, err)

	status, err := s.CheckAuth(t.Context(), auth)
	require.NoError(t, err)
	assert.Equal(t, "Login Succeeded", status.Status)
	auth.Password = "wrong"
	_, err = s.CheckAuth(t.Context(), auth)
	assert.ErrorIs(t, err, errdefs.ErrUnauthenticated)
}

func TestPullOfWhatIsNotThere(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	r.Push(t, "test/small:1", small(t))
	for _, name := range []string{"test/small:2", "nosuch:1"} {
		_, err := s.Pull(t.Context(), named(t, r.Host+"/"+name), images.PullOptions{Progress: func(jsonstream.Message) { t.Error("progress") }})
		assert.ErrorIs(t, err, errdefs.ErrNotFound)
		assert.ErrorContains(t, err, "manifest for "+r.Host+"/"+name+" not found")
	}
	_, err := s.Pull(t.Context(), named(t, r.Host+"/test/small:1"), images.PullOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "riscv64"}})
	assert.NoError(t, err, "an image that names no platform")
	requireErrorOnly(t, s, "127.0.0.1:1/x:1", "connection refused")
}

func requireErrorOnly(t *testing.T, s *images.Service, name, text string) {
	t.Helper()
	_, err := s.Pull(t.Context(), named(t, name), images.PullOptions{Progress: func(jsonstream.Message) { t.Error("progress") }})
	assert.ErrorContains(t, err, text)
}

// spoil answers requests for blobs bigger than a configuration with f.
func spoil(f func(w http.ResponseWriter, body []byte)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			answer := &recorder{header: http.Header{}}
			next.ServeHTTP(answer, r)
			if strings.HasPrefix(answer.body.String(), "{") {
				_, _ = w.Write(answer.body.Bytes())
				return
			}
			f(w, answer.body.Bytes())
		})
	}
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestPullThatGoesWrongHalfWayLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w http.ResponseWriter, body []byte)
		text  string
	}{
		"other bytes": {
			func(w http.ResponseWriter, body []byte) {
				body[len(body)-1] ^= 1
				_, _ = w.Write(body)
			}, "its digest does not match",
		},
		"the connection breaks": {
			func(w http.ResponseWriter, body []byte) {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				_, _ = w.Write(body[:len(body)/2])
				panic(http.ErrAbortHandler)
			}, "stopped half-way",
		},
		"silence": {
			func(w http.ResponseWriter, body []byte) {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				_, _ = w.Write(body[:len(body)/2])
				w.(http.Flusher).Flush()
				time.Sleep(4 * time.Second) // longer than the service waits
			}, "the registry sent nothing for 2s",
		},
		"no space": {
			func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusInternalServerError) }, "500",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := containerdtest.Embedded(t)
			s := newService(t, e, noHook)
			ref := containerdtest.NewRegistry(t, spoil(c.spoil)).Push(t, "test/small:1", small(t))
			said := 0
			start := time.Now()
			_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{Progress: func(jsonstream.Message) { said++ }})
			require.ErrorContains(t, err, c.text)
			t.Log(time.Since(start), err)
			assert.NotZero(t, said)
			requireNothing(t, e)
		})
	}
}

func TestAClientThatGoesAwayEndsThePull(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int32
	ref := containerdtest.NewRegistry(t, spoil(func(w http.ResponseWriter, body []byte) {
		if asked.Add(1) == 1 {
			cancel()
		}
		time.Sleep(100 * time.Millisecond)
		_, _ = w.Write(body)
	})).Push(t, "test/small:1", small(t))
	_, err := s.Pull(ctx, named(t, ref), images.PullOptions{})
	require.ErrorIs(t, err, context.Canceled)
	requireNothing(t, e)
}

func TestStartRemovesWhatAKilledDaemonLeft(t *testing.T) {
	e := containerdtest.Embedded(t)
	pulled, killed := make(chan struct{}), make(chan struct{})
	s := newService(t, e, func(context.Context, string, client.Image) error {
		close(pulled)
		<-killed
		return errors.New("killed")
	})
	ref := containerdtest.NewRegistry(t).Push(t, "test/small:1", small(t))
	ended := make(chan error)
	go func() {
		_, err := s.Pull(context.Background(), named(t, ref), images.PullOptions{})
		ended <- err
	}()
	<-pulled
	newService(t, e, noHook) // the next daemon
	requireNothing(t, e)
	close(killed)
	assert.ErrorContains(t, <-ended, "killed")
}

func TestTwoPullsOfOneImageAtOnce(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ref := containerdtest.NewRegistry(t).Push(t, "test/small:1", small(t))
	var pulls errgroup.Group
	for range 4 {
		pulls.Go(func() error {
			_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{})
			return err
		})
	}
	require.NoError(t, pulls.Wait())
	_, err := s.Remove(t.Context(), ref, false, false)
	require.NoError(t, err)
	requireNothing(t, e)
}
