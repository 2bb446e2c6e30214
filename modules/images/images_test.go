package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/images"
)

func TestMain(m *testing.M) { containerdtest.Main(m) }

// hook is a PostPull.
type hook func(ctx context.Context, snapshotter string, i client.Image) error

func (h hook) PostPull(ctx context.Context, snapshotter string, i client.Image) error {
	return h(ctx, snapshotter, i)
}

func noHook(context.Context, string, client.Image) error { return nil }

func newService(t *testing.T, e *containerd.Engine, h hook) *images.Service {
	t.Helper()
	s := images.New(e, h, events.New(), containerdtest.Log(t), images.Config{StallTimeout: 2 * time.Second})
	require.NoError(t, s.Start(t.Context()))
	return s
}

func named(t *testing.T, name string) reference.Named {
	t.Helper()
	n, err := reference.ParseNormalizedNamed(name)
	require.NoError(t, err)
	return n
}

// small is an image of two layers, quick to make.
func small(t *testing.T) v1.Image {
	t.Helper()
	return containerdtest.Image(t,
		containerdtest.Layer(t, []tar.Header{{Name: "a", Typeflag: tar.TypeReg, Mode: 0o644}}, map[string]string{"a": "first"}),
		containerdtest.Layer(t, []tar.Header{{Name: "b", Typeflag: tar.TypeReg, Mode: 0o644}}, map[string]string{"b": strings.Repeat("second", 1000)}))
}

// requireNothing checks that an engine holds no image nor part of one.
func requireNothing(t *testing.T, e *containerd.Engine) {
	t.Helper()
	ctx, c := t.Context(), e.Client()
	records, err := c.ListImages(ctx)
	require.NoError(t, err)
	assert.Empty(t, records, "records")
	require.NoError(t, c.ContentStore().Walk(ctx, func(i content.Info) error {
		t.Errorf("left behind: blob %s", i.Digest)
		return nil
	}))
	unfinished, err := c.ContentStore().ListStatuses(ctx)
	require.NoError(t, err)
	assert.Empty(t, unfinished, "unfinished blobs")
	require.NoError(t, c.SnapshotService(e.Snapshotter()).Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		t.Errorf("left behind: snapshot %s", i.Name)
		return nil
	}))
	leases, err := c.LeasesService().List(ctx)
	require.NoError(t, err)
	assert.Empty(t, leases, "leases")
}

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
	assert.Equal(t, "Login Succeeded", status)
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

func TestNames(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ctx := t.Context()
		bus := events.New()
		s := images.New(e, hook(noHook), bus, containerdtest.Log(t), images.Config{})
		names, err := s.Load(ctx, containerdtest.Archive(t, "small:1", small(t)), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"small:1"}, names)
		i, err := s.Resolve(ctx, "small:1")
		require.NoError(t, err)

		target := named(t, "other/name:2").(reference.NamedTagged)
		require.NoError(t, s.Tag(ctx, "small:1", target))
		for _, name := range []string{"other/name:2", "docker.io/other/name:2", i.ID.String(), i.ID.Encoded(), i.ID.Encoded()[:12], "small:1@" + i.Target().Digest.String(), "small@" + i.Target().Digest.String()} {
			found, err := s.Resolve(ctx, name)
			require.NoError(t, err, name)
			assert.Equal(t, i.ID, found.ID, name)
		}
		for _, name := range []string{"small:2", "nosuch", "sha256:" + strings.Repeat("0", 64), "Not/A name", "", "../x"} {
			_, err := s.Resolve(ctx, name)
			assert.ErrorIs(t, err, errdefs.ErrNotFound, name)
			assert.ErrorContains(t, err, "No such image: "+name)
		}

		list, err := s.List(ctx, images.ListOptions{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.ElementsMatch(t, []string{"other/name:2", "small:1"}, list[0].RepoTags)
		assert.Len(t, list[0].RepoDigests, 2)
		assert.Positive(t, list[0].Size)
		for filter, count := range map[string]int{
			`{"reference":["small*"]}`: 1, `{"reference":["nosuch"]}`: 0, `{"reference":["other/*"]}`: 1,
			`{"dangling":["true"]}`: 0, `{"dangling":["false"]}`: 1, `{"label":["x"]}`: 0,
		} {
			f, err := filters.Parse(filter)
			require.NoError(t, err)
			list, err := s.List(ctx, images.ListOptions{Filters: f})
			require.NoError(t, err)
			assert.Len(t, list, count, filter)
		}

		inspect, err := s.Inspect(ctx, "small:1")
		require.NoError(t, err)
		assert.Equal(t, i.ID.String(), inspect.ID)
		assert.Len(t, inspect.RootFS.Layers, 2)

		removed, err := s.Remove(ctx, "small:1", false, false)
		require.NoError(t, err)
		require.Len(t, removed, 1)
		assert.Equal(t, "small:1", removed[0].Untagged)
		removed, err = s.Remove(ctx, "other/name:2", false, false)
		require.NoError(t, err)
		require.Len(t, removed, 2)
		assert.Equal(t, "other/name:2", removed[0].Untagged)
		assert.Equal(t, i.ID.String(), removed[1].Deleted)
		requireNothing(t, e)

		past, _, cancel := bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
		cancel()
		var actions []dockerevents.Action
		for _, m := range past {
			actions = append(actions, m.Action)
		}
		assert.Equal(t, []dockerevents.Action{"load", "tag", "untag", "untag", "delete"}, actions)
	})
}

func TestAnImageInUseKeepsItsContent(t *testing.T) {
	e := containerdtest.Embedded(t)
	ctx := t.Context()
	s := newService(t, e, noHook)
	_, err := s.Load(ctx, containerdtest.Archive(t, "small:1", small(t)), nil)
	require.NoError(t, err)
	i, err := s.Resolve(ctx, "small:1")
	require.NoError(t, err)
	container, err := e.Client().NewContainer(ctx, "c1", client.WithContainerLabels(map[string]string{images.ImageIDLabel: i.ID.String()}))
	require.NoError(t, err)

	_, err = s.Remove(ctx, "small:1", false, false)
	assert.ErrorIs(t, err, errdefs.ErrConflict)
	assert.ErrorContains(t, err, `conflict: unable to remove repository reference "small:1" (must force) - container c1 is using its referenced image`)
	_, err = s.Remove(ctx, i.ID.String(), false, false)
	assert.ErrorIs(t, err, errdefs.ErrConflict)

	removed, err := s.Remove(ctx, "small:1", true, false)
	require.NoError(t, err)
	assert.Len(t, removed, 1, "untagged, not deleted")
	_, err = s.Resolve(ctx, "small:1")
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	found, err := s.Resolve(ctx, i.ID.String())
	require.NoError(t, err)
	assert.Empty(t, found.Reference)
	report, err := s.Prune(ctx, nil)
	require.NoError(t, err)
	assert.Empty(t, report.ImagesDeleted)

	require.NoError(t, container.Delete(ctx))
	report, err = s.Prune(ctx, nil)
	require.NoError(t, err)
	assert.NotEmpty(t, report.ImagesDeleted)
	assert.Positive(t, report.SpaceReclaimed)
	requireNothing(t, e)
}

func TestATagThatMovesLeavesTheOldImageWithoutName(t *testing.T) {
	e := containerdtest.Embedded(t)
	ctx := t.Context()
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	ref := r.Push(t, "test/small:1", small(t))
	old, err := s.Pull(ctx, named(t, ref), images.PullOptions{})
	require.NoError(t, err)
	r.Push(t, "test/small:1", containerdtest.Image(t, containerdtest.Layer(t, []tar.Header{{Name: "c", Typeflag: tar.TypeReg}}, nil)))
	_, err = s.Pull(ctx, named(t, ref), images.PullOptions{})
	require.NoError(t, err)

	list, err := s.List(ctx, images.ListOptions{Filters: filters.Args{"dangling": {"true": true}}})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, old.ID.String(), list[0].ID)
	assert.Empty(t, list[0].RepoTags)
	report, err := s.Prune(ctx, nil)
	require.NoError(t, err)
	require.Len(t, report.ImagesDeleted, 1)
	assert.Equal(t, old.ID.String(), report.ImagesDeleted[0].Deleted)
}

func TestLoadRefusesWhatIsNoImage(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	whole, err := io.ReadAll(containerdtest.Archive(t, "small:1", small(t)))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty":           "",
		"not a tar":       "hello",
		"gzip of nothing": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"cut off":         string(whole[:len(whole)/2]),
		"no manifest":     tarOf(t, map[string]string{"x": "y"}),
		"wrong manifest":  tarOf(t, map[string]string{"manifest.json": `{"a":1}`}),
		"config missing":  tarOf(t, map[string]string{"manifest.json": `[{"Config":"../../etc/passwd","Layers":[]}]`}),
		"bad name":        tarOf(t, map[string]string{"c.json": `{}`, "manifest.json": `[{"Config":"c.json","RepoTags":["../x"],"Layers":[]}]`}),
		"config no json":  tarOf(t, map[string]string{"c.json": `nope`, "manifest.json": `[{"Config":"c.json","RepoTags":["x:1"],"Layers":[]}]`}),
		"layer counts":    tarOf(t, map[string]string{"c.json": `{"rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("a", 64) + `"]}}`, "manifest.json": `[{"Config":"c.json","RepoTags":["x:1"],"Layers":[]}]`}),
		"huge index":      tarOf(t, map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": strings.Repeat(" ", 9<<20)}),
	} {
		_, err := s.Load(t.Context(), strings.NewReader(text), nil)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, name)
		t.Log(name, "→", err)
		requireNothing(t, e)
	}
}

func tarOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}))
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
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
