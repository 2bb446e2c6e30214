package cri

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/plugins"
)

func (f *fixture) pull(t *testing.T, image string) (string, error) {
	t.Helper()
	r, err := f.images.PullImage(t.Context(), &runtime.PullImageRequest{
		Image: &runtime.ImageSpec{Image: image}, SandboxConfig: f.podConfig("puller"),
	})
	return r.GetImageRef(), err
}

// names returns the names of all images of CRI.
func (f *fixture) names(t *testing.T) []string {
	t.Helper()
	list, err := f.engine.PodClient().ImageService().List(t.Context())
	require.NoError(t, err)
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

func postPullSeesWhatKubernetesPulls(t *testing.T, f *fixture) {
	h := f.hooks
	registry := containerdtest.NewRegistry(t)
	reference := registry.Push(t, "team/app:v1", containerdtest.Box(t))
	var kept client.Image
	h.postPull = func(_ context.Context, snapshotter string, image client.Image) error {
		kept = image
		unpacked, err := image.IsUnpacked(context.Background(), snapshotter)
		if err == nil && !unpacked {
			err = errors.New("it is not unpacked")
		}
		return err
	}
	_, err := f.pull(t, reference)
	require.NoError(t, err)
	assert.Equal(t, reference, kept.Name())
	_, err = kept.Size(context.Background())
	assert.NoError(t, err, "the image outlives the request")
	_, err = f.engine.Client().GetImage(t.Context(), reference)
	assert.True(t, errdefs.IsNotFound(err), "Docker's images are others: %v", err)
	calls, requests := h.seen()
	assert.Equal(t, []string{"PostPull"}, calls)
	assert.Equal(t, reference, requests[0].Name)
	assert.Equal(t, plugins.Pod{Name: "puller", Namespace: "default", UID: "uid-puller"}, requests[0].Pod)
}

func aPullThatAHookRefusesLeavesNoName(t *testing.T, f *fixture) {
	h := f.hooks
	registry := containerdtest.NewRegistry(t)
	box := containerdtest.Box(t)
	reference := registry.Push(t, "team/app:v1", box)
	before := f.names(t)
	refuse := func(context.Context, string, client.Image) error {
		return fmt.Errorf("not signed: %w", errdefs.ErrPermissionDenied)
	}
	h.postPull = refuse
	_, err := f.pull(t, reference)
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
	assert.ErrorContains(t, err, `plugin "h": PostPull: not signed`)
	assert.ElementsMatch(t, before, f.names(t))

	t.Run("but the one that was there", func(t *testing.T) {
		h.postPull = nil
		_, err := f.pull(t, reference)
		require.NoError(t, err)
		before := f.names(t)
		old, err := f.engine.PodClient().GetImage(t.Context(), reference)
		require.NoError(t, err)
		changed, err := mutate.Config(box, v1.Config{Cmd: []string{"true"}})
		require.NoError(t, err)
		require.Equal(t, reference, registry.Push(t, "team/app:v1", changed))
		h.postPull = refuse
		_, err = f.pull(t, reference)
		require.Error(t, err)
		assert.ElementsMatch(t, before, f.names(t))
		now, err := f.engine.PodClient().GetImage(t.Context(), reference)
		require.NoError(t, err)
		assert.Equal(t, old.Target(), now.Target())
	})
}

func upstreamRefusesBadPulls(t *testing.T, f *fixture) {
	h := f.hooks
	registry := containerdtest.NewRegistry(t)
	for _, image := range []string{"", "UPPER CASE", registry.Host + "/none:v1"} {
		_, err := f.pull(t, image)
		assert.Error(t, err, image)
	}
	calls, _ := h.seen()
	assert.Empty(t, calls)
	_, err := f.images.PullImage(t.Context(), &runtime.PullImageRequest{})
	assert.Error(t, err)
}
