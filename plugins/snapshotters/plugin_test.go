package snapshotters_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/snapshotters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// image is one whose unpacking a test decides about; what a real engine makes
// of it is tested in e2e.
type image struct {
	containerd.Image
	name   string
	unpack func(ctx context.Context, snapshotter string) error

	mu   sync.Mutex
	into []string
}

func (i *image) Name() string { return i.name }
func (i *image) Target() ocispec.Descriptor {
	return ocispec.Descriptor{Digest: digest.FromString(i.name)}
}
func (i *image) Spec(context.Context) (ocispec.Image, error) {
	return ocispec.Image{Config: ocispec.ImageConfig{Labels: map[string]string{"lazy": "yes"}}}, nil
}
func (i *image) IsUnpacked(_ context.Context, snapshotter string) (bool, error) {
	if snapshotter == "nosuch" {
		return false, fmt.Errorf("snapshotter nosuch was not found: %w", errdefs.ErrNotFound)
	}
	return false, nil
}
func (i *image) Unpack(ctx context.Context, snapshotter string, _ ...containerd.UnpackOpt) error {
	i.mu.Lock()
	i.into = append(i.into, snapshotter)
	i.mu.Unlock()
	if i.unpack == nil {
		return nil
	}
	return i.unpack(ctx, snapshotter)
}
func (i *image) got() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.into...)
}

func read(t testing.TB, section string) (snapshotters.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  snapshotters:\n    "+section+"\n"), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	decoded := snapshotters.Config{Concurrency: 1}
	policy := plugins.DefaultPolicy()
	err = c.Plugin("snapshotters", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) (*snapshotters.Plugin, *observer.ObservedLogs) {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	p, err := snapshotters.New(snapshotters.Params{Config: c, Log: zap.New(core)})
	require.NoError(t, err)
	require.NoError(t, p.PreStartHook())
	t.Cleanup(func() { assert.NoError(t, p.PreStopHook()) })
	return p, logs
}

func TestRulesSayWhereAnImageGoes(t *testing.T) {
	p, _ := newPlugin(t, `rules:
      - {into: [native, overlayfs]}
      - {when: {image: "quay.io/*"}, into: [erofs]}
      - {when: {namespace: shop}, into: [stargz]}
      - {when: {labels: {lazy: "yes"}}, into: [nydus]}
      - {when: {labels: {lazy: "no"}}, into: [other]}`)
	i := &image{name: "docker.io/library/busybox:latest"}
	require.NoError(t, p.PostPull(t.Context(), "overlayfs", i))
	assert.Equal(t, []string{"native", "nydus"}, i.got())
	i = &image{name: "quay.io/a/b:1"}
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Pod: plugins.Pod{Namespace: "shop"}})
	require.NoError(t, p.PostPull(ctx, "native", i))
	assert.Equal(t, []string{"overlayfs", "erofs", "stargz", "nydus"}, i.got())
}

func TestAFailureFailsThePullUnlessItIsIgnored(t *testing.T) {
	full := func(context.Context, string) error { return fmt.Errorf("apply layer: %w", syscall.ENOSPC) }
	told := func(context.Context, string) error { return errors.New("rpc error: write /x: no space left on device") }
	for _, c := range []struct {
		into   string
		unpack func(context.Context, string) error
		is     func(error) bool
		want   string
	}{
		{"nosuch", nil, errdefs.IsFailedPrecondition, `image box: containerd has no snapshotter "nosuch" that works here: use another one, such as native, or set that one up`},
		{"native", full, errdefs.IsResourceExhausted, `image box: snapshotter "native" is full: remove images, give it more room, or leave it out`},
		{"native", told, errdefs.IsResourceExhausted, `snapshotter "native" is full`},
		{"native", func(context.Context, string) error { panic("boom") }, func(error) bool { return true }, `panic: boom`},
		{"native", func(context.Context, string) error { return errdefs.ErrUnknown }, errdefs.IsUnknown, `unpack image box into snapshotter "native"`},
	} {
		i := &image{name: "box", unpack: c.unpack}
		p, _ := newPlugin(t, "rules: [{into: ["+c.into+", last]}]")
		err := p.PostPull(t.Context(), "overlayfs", i)
		assert.ErrorContains(t, err, c.want)
		assert.True(t, c.is(err), "%v", err)
		assert.NotContains(t, i.got(), "last")

		lenient, logs := newPlugin(t, "rules: [{onError: ignore, into: ["+c.into+"]}, {into: [last]}]")
		i = &image{name: "box", unpack: func(ctx context.Context, into string) error {
			if into == "last" {
				return nil
			}
			return c.unpack(ctx, into)
		}}
		require.NoError(t, lenient.PostPull(t.Context(), "overlayfs", i))
		assert.Contains(t, i.got(), "last")
		assert.Equal(t, 1, logs.FilterMessage("the image is not in a further snapshotter").Len())
	}
}

func TestAPullThatIsBrokenOffIsNoFailureToIgnore(t *testing.T) {
	p, _ := newPlugin(t, "rules: [{onError: ignore, into: [native]}]")
	ctx, cancel := context.WithCancel(t.Context())
	i := &image{name: "box", unpack: func(ctx context.Context, _ string) error { cancel(); <-ctx.Done(); return ctx.Err() }}
	assert.ErrorIs(t, p.PostPull(ctx, "overlayfs", i), context.Canceled)
}

func TestInTheBackgroundThePullDoesNotWait(t *testing.T) {
	p, logs := newPlugin(t, "rules: [{into: [native, erofs], background: true}]")
	release := make(chan struct{})
	i := &image{name: "box", unpack: func(ctx context.Context, into string) error {
		ns, _ := namespaces.Namespace(ctx)
		assert.Equal(t, "pouchfx", ns)
		_, leased := leases.FromContext(ctx)
		assert.False(t, leased, "that of the pull has ended")
		<-release
		if into == "erofs" {
			return errors.New("it does not work")
		}
		return ctx.Err()
	}}
	ctx, cancel := context.WithCancel(leases.WithLease(namespaces.WithNamespace(t.Context(), "pouchfx"), "pull"))
	for range 3 { // the same image again waits once
		require.NoError(t, p.PostPull(ctx, "overlayfs", i))
	}
	cancel()
	require.Eventually(t, func() bool { return len(i.got()) == 1 }, 10*time.Second, time.Millisecond)
	close(release)
	require.Eventually(t, func() bool { return logs.Len() == 2 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, 1, logs.FilterMessage("the image is in a further snapshotter").Len())
	assert.Equal(t, 1, logs.FilterMessage("the image is not in a further snapshotter").Len())
	assert.ElementsMatch(t, []string{"native", "erofs"}, i.got())
}

func TestTheBackgroundIsBounded(t *testing.T) {
	p, _ := newPlugin(t, "concurrency: 2\n    rules: [{into: [native], background: true}]")
	var mu sync.Mutex
	now, most, done := 0, 0, 0
	count := func(d int) {
		mu.Lock()
		defer mu.Unlock()
		now += d
		most = max(most, now)
		if d < 0 {
			done++
		}
	}
	for n := range 10 {
		i := &image{name: fmt.Sprint("box", n), unpack: func(context.Context, string) error {
			count(1)
			time.Sleep(2 * time.Millisecond)
			count(-1)
			return nil
		}}
		require.NoError(t, p.PostPull(t.Context(), "overlayfs", i))
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return done == 10 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, 2, most)
}

func TestTheStopEndsTheBackgroundAndWaitsForIt(t *testing.T) {
	p, logs := newPlugin(t, "rules: [{into: [native], background: true}]")
	begun, ended := make(chan struct{}), false
	first := &image{name: "first", unpack: func(ctx context.Context, _ string) error {
		close(begun)
		<-ctx.Done()
		ended = true
		return ctx.Err()
	}}
	require.NoError(t, p.PostPull(t.Context(), "overlayfs", first))
	<-begun
	second := &image{name: "second"}
	require.NoError(t, p.PostPull(t.Context(), "overlayfs", second))
	require.NoError(t, p.PreStopHook())
	assert.True(t, ended)
	assert.Empty(t, second.got(), "it never had its turn")
	assert.Equal(t, 1, logs.FilterMessage("the daemon stops: the image is not unpacked").Len())
	require.NoError(t, p.PostPull(t.Context(), "overlayfs", second))
	assert.Empty(t, second.got())
}

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for section, want := range map[string]string{
		`concurrency: 0`:              `concurrency 0: at least one`,
		`concurrency: 300`:            `"300" is not a whole number from 0 to 255`,
		`rules: [{background: true}]`: `rules[0]: the key into is missing`,
		`rules: [{into: [a/b]}]`:      `into "a/b": write the name of a snapshotter`,
		`rules: [{into: [a], background: true, onError: fail}]`: `exclude each other`,
		`rules: [{into: [a], onError: retry}]`:                  `use "fail" or "ignore"`,
	} {
		_, err := read(t, section)
		if assert.ErrorContains(t, err, want, section) {
			assert.Contains(t, err.Error(), "config.yaml:3: plugins.snapshotters")
		}
	}
}

// What the plugin itself costs a pull: unpacking aside.
func BenchmarkPostPull(b *testing.B) {
	p, _ := newPlugin(b, `rules: [{when: {image: "docker.io/*"}, into: [native]}, {when: {namespace: shop}, into: [erofs], background: true}]`)
	i := &image{name: "docker.io/library/busybox:latest"}
	b.ReportAllocs()
	for b.Loop() {
		i.into = i.into[:0]
		if err := p.PostPull(b.Context(), "overlayfs", i); err != nil {
			b.Fatal(err)
		}
	}
}
