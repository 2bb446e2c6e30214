package containers

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// ListOptions say which containers are listed.
type ListOptions struct {
	// All lists those that do not run, too.
	All bool
	// Limit is how many of the newest are listed; 0 means no limit. It
	// implies All.
	Limit int
	// Size measures their files.
	Size    bool
	Filters filters.Args
}

// List describes containers, newest first. It reads memory only, but for Size.
func (s *Service) List(ctx context.Context, o ListOptions) ([]container.Summary, error) {
	match, err := s.newMatcher(ctx, o)
	if err != nil {
		return nil, err
	}
	all := s.index.all()
	slices.SortFunc(all, newestFirst)
	now := time.Now()
	list := []container.Summary{}
	for _, c := range all {
		if o.Limit > 0 && len(list) == o.Limit {
			break
		}
		status := c.status()
		if !match.all && status != statusRunning && status != statusPaused && status != statusRestarting || !match.container(c, status) {
			continue
		}
		summary := s.summarise(c, status, now)
		if !match.ports(summary.Ports) {
			continue
		}
		if o.Size {
			if summary.SizeRw, summary.SizeRootFs, err = s.bothSizes(ctx, c); err != nil {
				return nil, err
			}
		}
		list = append(list, summary)
	}
	return list, nil
}

// newestFirst orders by creation, then by id, so that the order is total.
func newestFirst(a, b *ctr) int {
	if order := b.record().Created.Compare(a.record().Created); order != 0 {
		return order
	}
	return strings.Compare(a.id, b.id)
}

func (s *Service) summarise(c *ctr, status container.ContainerState, now time.Time) container.Summary {
	r, settings := c.record(), s.networkSettings(c)
	summary := container.Summary{
		ID: c.id, Names: []string{"/" + r.Name}, Image: r.Image, ImageID: r.ImageID.String(),
		Command: commandLine(r), Created: r.Created.Unix(), Ports: portSummaries(settings.Ports),
		Labels: r.Config.Labels, State: status, Status: statusText(r.State, status, c.currentHealth(), now),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: settings.Networks},
		Mounts:          mountPoints(r.Mounts),
	}
	summary.HostConfig.NetworkMode = string(r.HostConfig.NetworkMode)
	summary.HostConfig.Annotations = r.HostConfig.Annotations
	return summary
}

// commandLine is the command as ps shows it: words with spaces are quoted.
func commandLine(r *record) string {
	words := slices.Concat(r.Config.Entrypoint, r.Config.Cmd)
	for i, w := range words {
		if strings.Contains(w, " ") {
			words[i] = "'" + w + "'"
		}
	}
	return strings.Join(words, " ")
}
