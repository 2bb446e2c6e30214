package images_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
)

// load puts an image under a name into a service.
func load(t *testing.T, s *images.Service, name string) {
	t.Helper()
	_, err := s.Load(t.Context(), containerdtest.Archive(t, name, small(t)), nil)
	require.NoError(t, err)
}

func tag(t *testing.T, s *images.Service, source, target string) {
	t.Helper()
	require.NoError(t, s.Tag(t.Context(), source, named(t, target).(reference.NamedTagged)))
}

// requireNoLeases checks that an operation has let go of what it held.
func requireNoLeases(t *testing.T, e *containerd.Engine) {
	t.Helper()
	leases, err := e.Client().LeasesService().List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, leases, "leases")
}

// said collects what a client sees.
type said struct{ lines []string }

func (s *said) add(m jsonstream.Message) {
	line := strings.TrimSpace(m.ID + " " + m.Status)
	if m.Aux != nil {
		line = "aux " + string(*m.Aux)
	}
	if m.Status != "Pushing" { // how often depends on time
		s.lines = append(s.lines, line)
	}
}

func (s *said) text() string { return strings.Join(s.lines, "\n") }

func TestPushTellsWhatBecomesOfEachLayer(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		bus := events.New()
		s := images.New(e, hook(noHook), bus, containerdtest.Log(t), images.Config{})
		r := containerdtest.NewRegistry(t)
		load(t, s, "small:1")
		ref := r.Host + "/test/small:1"
		tag(t, s, "small:1", ref)
		i, err := s.Resolve(t.Context(), ref)
		require.NoError(t, err)

		var first, second said
		require.NoError(t, s.Push(t.Context(), named(t, ref), images.PushOptions{Progress: first.add}))
		assert.Equal(t, "The push refers to repository ["+r.Host+"/test/small]", first.lines[0])
		assert.Equal(t, 2, strings.Count(first.text(), " Preparing"), first.text())
		assert.Equal(t, 2, strings.Count(first.text(), " Pushed"), first.text())
		require.Len(t, first.lines, 7)
		assert.Regexp(t, `^1: digest: `+i.Target().Digest.String()+` size: \d+$`, first.lines[5])
		assert.Regexp(t, `^aux {"Tag":"1","Digest":"`+i.Target().Digest.String()+`","Size":\d+}$`, first.lines[6])
		pushed, err := name.ParseReference(ref, name.Insecure)
		require.NoError(t, err)
		d, err := remote.Head(pushed)
		require.NoError(t, err)
		assert.Equal(t, i.Target().Digest.String(), d.Digest.String())

		require.NoError(t, s.Push(t.Context(), named(t, ref), images.PushOptions{Progress: second.add}))
		assert.Equal(t, 2, strings.Count(second.text(), " Layer already exists"), second.text())
		requireNoLeases(t, e)

		past, _, cancel := bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
		cancel()
		last := past[len(past)-1]
		assert.Equal(t, dockerevents.ActionPush, last.Action)
		assert.Equal(t, ref, last.Actor.ID)
		assert.Equal(t, map[string]string{"name": r.Host + "/test/small"}, last.Actor.Attributes)
	})
}

func TestPushOfAllTags(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	load(t, s, "small:1")
	for _, name := range []string{"/test/small:1", "/test/small:2", "/test/other:3"} {
		tag(t, s, "small:1", r.Host+name)
	}
	require.NoError(t, s.Push(t.Context(), named(t, r.Host+"/test/small"), images.PushOptions{}))
	repo, err := name.NewRepository(r.Host+"/test/small", name.Insecure)
	require.NoError(t, err)
	tags, err := remote.List(repo)
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2"}, tags)
}

func TestPushRefusals(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	private := containerdtest.NewPrivateRegistry(t, "joe", "secret")
	load(t, s, "small:1")
	tag(t, s, "small:1", private.Host+"/small:1")
	tag(t, s, "small:1", "127.0.0.1:1/small:1")
	i, err := s.Resolve(t.Context(), "small:1")
	require.NoError(t, err)
	for _, tc := range []struct {
		ref   string
		auth  *registry.AuthConfig
		class error
		text  string
	}{
		{"nosuch:1", nil, errdefs.ErrNotFound, "An image does not exist locally with the tag: nosuch"},
		{"nosuch", nil, errdefs.ErrNotFound, "An image does not exist locally with the tag: nosuch"},
		{"small:2", nil, errdefs.ErrNotFound, "tag does not exist: small:2"},
		{"small@" + i.ID.String(), nil, errdefs.ErrInvalidArgument, "cannot push a digest reference"},
		{private.Host + "/small:1", nil, errdefs.ErrUnauthenticated, "no basic auth credentials: log in to " + private.Host},
		{private.Host + "/small:1", &registry.AuthConfig{}, errdefs.ErrUnauthenticated, "no basic auth credentials"},
		{private.Host + "/small:1", &registry.AuthConfig{Username: "joe", Password: "wrong"}, errdefs.ErrPermissionDenied, "denied: requested access to the resource is denied"},
		{"127.0.0.1:1/small:1", nil, nil, "connection refused"},
	} {
		err := s.Push(t.Context(), named(t, tc.ref), images.PushOptions{Auth: tc.auth})
		require.ErrorContains(t, err, tc.text)
		assert.NotContains(t, err.Error(), "wrong")
		if tc.class != nil {
			assert.ErrorIs(t, err, tc.class, tc.text)
		}
	}
	auth := registry.AuthConfig{Username: "joe", Password: "secret"}
	require.NoError(t, s.Push(t.Context(), named(t, private.Host+"/small:1"), images.PushOptions{Auth: &auth}))
	ref, err := name.ParseReference(private.Host+"/small:1", name.Insecure)
	require.NoError(t, err)
	_, err = remote.Image(ref, remote.WithAuth(&authn.Basic{Username: "joe", Password: "secret"}))
	require.NoError(t, err)
	requireNoLeases(t, e)
}

// hamper answers uploads with f.
func hamper(f func(w http.ResponseWriter, r *http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") {
				f(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestPushThatGoesWrongHalfWay(t *testing.T) {
	for name, c := range map[string]struct {
		hamper func(w http.ResponseWriter, r *http.Request)
		text   string
	}{
		"the connection breaks": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "stopped half-way"},
		"silence": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "the registry took nothing for 2s"},
		"no space": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"disk full"}]}`)
		}, "507 Insufficient Storage"},
		"another digest": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
			w.WriteHeader(http.StatusCreated)
		}, "got digest sha256:000"},
		"forbidden": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }, "no basic auth credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			e := containerdtest.Embedded(t)
			s := newService(t, e, noHook)
			load(t, s, "small:1")
			ref := containerdtest.NewRegistry(t, hamper(c.hamper)).Host + "/small:1"
			tag(t, s, "small:1", ref)
			begin := time.Now()
			err := s.Push(t.Context(), named(t, ref), images.PushOptions{})
			require.ErrorContains(t, err, c.text)
			t.Log(time.Since(begin), err)
			requireNoLeases(t, e)
		})
	}
}

func TestAClientThatGoesAwayEndsThePush(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	ctx, cancel := context.WithCancel(t.Context())
	ref := containerdtest.NewRegistry(t, hamper(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})).Host + "/small:1"
	tag(t, s, "small:1", ref)
	require.ErrorIs(t, s.Push(ctx, named(t, ref), images.PushOptions{}), context.Canceled)
	requireNoLeases(t, e)
}

// pulledIndex pulls an image of several platforms, of which one comes.
func pulledIndex(t *testing.T, s *images.Service) (ref string, i *images.Image) {
	t.Helper()
	from, err := name.ParseReference(containerdtest.NewRegistry(t).Host+"/many:1", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(from, index(t, "s390x", "amd64", "arm64")))
	i, err = s.Pull(t.Context(), named(t, from.String()), images.PullOptions{})
	require.NoError(t, err)
	return from.String(), i
}

func TestPushOfAnIndexOfWhichOnePlatformIsHere(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ref, i := pulledIndex(t, s)
	other := containerdtest.NewRegistry(t).Host + "/one:1"
	tag(t, s, ref, other)
	var told said
	require.NoError(t, s.Push(t.Context(), named(t, other), images.PushOptions{Progress: told.add}))
	assert.Contains(t, told.text(), `"manifestPushedInsteadOfIndex":true`)
	pushed, err := name.ParseReference(other, name.Insecure)
	require.NoError(t, err)
	d, err := remote.Head(pushed)
	require.NoError(t, err)
	assert.Equal(t, i.Manifest.Digest.String(), d.Digest.String())
}

func TestPushBesideWhereItCameFromSendsNoLayers(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	var mounts atomic.Int32
	r := containerdtest.NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if q := req.URL.Query(); req.Method == http.MethodPost && q.Get("from") == "a/small" {
				mounts.Add(1)
				w.WriteHeader(http.StatusCreated)
				return
			}
			if req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/b/small/blobs/") {
				w.WriteHeader(http.StatusNotFound) // the test's registry has no repositories
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	ref := r.Push(t, "a/small:1", small(t))
	_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{})
	require.NoError(t, err)
	tag(t, s, ref, r.Host+"/b/small:1")
	var told said
	require.NoError(t, s.Push(t.Context(), named(t, r.Host+"/b/small:1"), images.PushOptions{Progress: told.add}))
	assert.Equal(t, 2, strings.Count(told.text(), " Mounted from "+r.Host+"/a/small"), told.text())
	assert.EqualValues(t, 3, mounts.Load())
}

// A name that is removed while its image is on its way does not break the push.
func TestPushOfAnImageThatIsRemovedMeanwhile(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	var once atomic.Bool
	r := containerdtest.NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if once.CompareAndSwap(false, true) {
				names, err := s.List(context.Background(), images.ListOptions{})
				assert.NoError(t, err)
				_, err = s.Remove(context.Background(), names[0].ID, true, false)
				assert.NoError(t, err)
			}
			next.ServeHTTP(w, req)
		})
	})
	tag(t, s, "small:1", r.Host+"/small:1")
	require.NoError(t, s.Push(t.Context(), named(t, r.Host+"/small:1"), images.PushOptions{}))
	ref, err := name.ParseReference(r.Host+"/small:1", name.Insecure)
	require.NoError(t, err)
	_, err = remote.Head(ref)
	require.NoError(t, err)
	_, err = s.Prune(t.Context(), nil)
	require.NoError(t, err)
}
