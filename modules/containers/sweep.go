package containers

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots"
)

// sweep removes what belongs to no container: snapshots, tasks and files.
func (s *Service) sweep(ctx context.Context, known map[string]bool) {
	snapshotter, err := s.snapshots(s.Engine.Snapshotter())
	if err != nil {
		s.note("snapshots", "", err)
		return
	}
	var lost []string
	err = snapshotter.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind == snapshots.KindActive && validID().MatchString(info.Name) && !known[info.Name] {
			lost = append(lost, info.Name)
		}
		return nil
	})
	s.note("snapshots", "", err)
	for _, id := range lost {
		s.note("snapshot", id, snapshotter.Remove(ctx, id))
	}
	for _, dir := range []string{s.dir(""), s.execDir("")} {
		s.eachLost(dir, known, func(id string) error {
			return errors.Join(s.unmountShm(id), os.RemoveAll(filepath.Join(dir, id)))
		})
	}
	for _, id := range s.Networks.Sandboxes() {
		if !known[id] {
			s.note("network", id, s.Networks.Close(ctx, id))
		}
	}
	s.eachLost(s.runtimeState(""), known, func(id string) error { return s.removeLostState(ctx, id) })
}

// eachLost calls remove for what is in dir and is of no container.
func (s *Service) eachLost(dir string, known map[string]bool, remove func(id string) error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.note("files", "", err)
	}
	for _, e := range entries {
		if !known[e.Name()] && validID().MatchString(e.Name()) {
			s.note("files", e.Name(), remove(e.Name()))
		}
	}
}
