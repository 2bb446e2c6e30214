package containers

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Prune removes the containers that do not run.
func (s *Service) Prune(ctx context.Context, f filters.Args) (container.PruneReport, error) {
	report := container.PruneReport{ContainersDeleted: []string{}}
	if err := f.Validate("label", "label!", "until"); err != nil {
		return report, err
	}
	until, err := f.Until(time.Now())
	if err != nil {
		return report, err
	}
	for _, c := range s.index.all() {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		r, st := c.record(), c.status()
		if st != statusCreated && st != statusExited || !f.Labels(r.Config.Labels) || !until.IsZero() && r.Created.After(until) {
			continue
		}
		size, _ := s.sizes(ctx, c)
		err := s.remove(ctx, c, RemoveOptions{})
		if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
			continue // started or removed in between
		}
		if err != nil {
			return report, err
		}
		report.ContainersDeleted = append(report.ContainersDeleted, c.id)
		report.SpaceReclaimed += uint64(size)
	}
	return report, nil
}
