package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/store"
)

type thing struct{ Size int }

func start(t *testing.T, path string) *store.Store {
	t.Helper()
	s := store.New(path)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

func TestObjectsOutliveTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "s.db")
	s := start(t, path)
	require.NoError(t, s.Put("things", "a", thing{1}))
	require.NoError(t, s.Put("things", "a", thing{2}))
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()), "a second time")

	s = start(t, path)
	var got thing
	require.NoError(t, s.Get("things", "a", &got))
	assert.Equal(t, thing{2}, got)
}

func TestMissingObjects(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "s.db"))
	assert.ErrorIs(t, s.Get("things", "a", new(thing)), errdefs.ErrNotFound, "no bucket")
	require.NoError(t, s.Delete("things", "a"))
	require.NoError(t, s.Put("things", "a", thing{1}))
	assert.ErrorIs(t, s.Get("things", "b", new(thing)), errdefs.ErrNotFound, "no key")
	require.NoError(t, s.Delete("things", "a"))
	assert.ErrorIs(t, s.Get("things", "a", new(thing)), errdefs.ErrNotFound, "deleted")
}

func TestForEach(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "s.db"))
	var keys []string
	collect := func(key string, raw json.RawMessage) error {
		keys = append(keys, key+string(raw))
		return nil
	}
	require.NoError(t, s.ForEach("things", collect))
	assert.Empty(t, keys)
	for i, key := range []string{"b", "a"} {
		require.NoError(t, s.Put("things", key, thing{i}))
	}
	require.NoError(t, s.ForEach("things", collect))
	assert.Equal(t, []string{`a{"Size":1}`, `b{"Size":0}`}, keys)

	stop := errors.New("stop")
	assert.ErrorIs(t, s.ForEach("things", func(string, json.RawMessage) error { return stop }), stop)
}

func TestASecondDaemonIsToldWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	start(t, path)
	err := store.New(path).Start(t.Context())
	assert.ErrorContains(t, err, "another daemon uses "+path)
	assert.ErrorContains(t, err, "--data-root")
}
