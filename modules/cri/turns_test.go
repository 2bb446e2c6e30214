package cri

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneTurnAtATimeForEachID(t *testing.T) {
	var all turns
	ends, err := all.take(t.Context(), "a")
	require.NoError(t, err)
	other, err := all.take(t.Context(), "b")
	require.NoError(t, err, "another container's is free")
	other()

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = all.take(impatient, "a")
	require.ErrorIs(t, err, context.Canceled)
	ends()

	var running, most int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			done, err := all.take(t.Context(), "a")
			if !assert.NoError(t, err) {
				return
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			mu.Lock()
			running--
			mu.Unlock()
			done()
		})
	}
	group.Wait()
	assert.Equal(t, 1, most)
	assert.Empty(t, all.taken, "nothing is kept of those that are done")
}
