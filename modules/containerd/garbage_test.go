package containerd

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

func TestGarbageIsToldOfUntilItIsCollected(t *testing.T) {
	file, err := bolt.Open(filepath.Join(t.TempDir(), "meta.db"), 0o600, nil)
	require.NoError(t, err)
	defer file.Close()
	content, err := local.NewStore(t.TempDir())
	require.NoError(t, err)
	db := metadata.NewDB(file, content, nil)
	require.NoError(t, db.Init(t.Context()))

	var dirty, clean atomic.Int32
	db.RegisterMutationCallback(func(garbage bool) {
		if garbage {
			dirty.Add(1)
		} else {
			clean.Add(1)
		}
	})
	removals := announcements(db)
	ctx, cancel := context.WithCancel(namespaces.WithNamespace(t.Context(), Namespace))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		announceGarbage(ctx, db, removals, time.Millisecond)
	}()
	defer func() {
		cancel()
		<-ended
	}()

	manager := metadata.NewLeaseManager(db)
	lease, err := manager.Create(ctx, leases.WithRandomID())
	require.NoError(t, err)
	require.Zero(t, dirty.Load(), "nothing was removed yet")
	require.NoError(t, manager.Delete(ctx, lease))
	const more = 10
	require.Eventually(t, func() bool { return dirty.Load() > more }, time.Minute, time.Millisecond, "a scheduler that missed it hears of it again")

	before := clean.Load()
	_, err = db.GarbageCollect(ctx)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return clean.Load() > before }, time.Minute, time.Millisecond)
	assert.Empty(t, removals, "nothing is left to tell")
}
