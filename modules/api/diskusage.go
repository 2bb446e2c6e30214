package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/volume"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/images"
)

// diskUsage is what GET /system/df answered before API 1.52.
type diskUsage struct {
	LayersSize int64
	Images     []imageSummary
	Containers []container.Summary
	Volumes    []volume.Volume
	BuildCache []build.CacheRecord
}

// diskUsage lists images, containers and volumes with their sizes. The type
// parameter, which may be repeated, chooses among them.
func (h *systemHandlers) diskUsage(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	chosen := q.values["type"]
	for _, kind := range chosen {
		if !slices.Contains([]string{"container", "image", "volume", "build-cache"}, kind) {
			return badRequest("unknown object type: %s: use container, image, volume or build-cache", kind)
		}
	}
	wanted := func(kind string) bool { return len(chosen) == 0 || slices.Contains(chosen, kind) }
	usage := diskUsage{BuildCache: []build.CacheRecord{}}
	if wanted("image") {
		all, err := h.imageUsage(ctx)
		if err != nil {
			return err
		}
		usage.Images, usage.LayersSize = legacyImages(ctx, all), layersSize(all)
	}
	if wanted("container") {
		all, err := h.params.Containers.List(ctx, containers.ListOptions{All: true, Size: true})
		if err != nil {
			return err
		}
		usage.Containers = list(legacySummaries(ctx, all))
	}
	if wanted("volume") {
		all, err := h.params.Volumes.Usage(ctx)
		if err != nil {
			return err
		}
		usage.Volumes = list(all)
	}
	return writeJSON(w, http.StatusOK, usage)
}

// imageUsage lists the images with the number of containers that each has.
func (h *systemHandlers) imageUsage(ctx context.Context) ([]image.Summary, error) {
	all, err := h.params.Images.List(ctx, images.ListOptions{All: true, SharedSize: true})
	if err != nil {
		return nil, err
	}
	users, err := h.params.Containers.List(ctx, containers.ListOptions{All: true})
	if err != nil {
		return nil, err
	}
	count := map[string]int64{}
	for _, c := range users {
		count[c.ImageID]++
	}
	for i := range all {
		all[i].Containers = count[all[i].ID]
	}
	return all, nil
}

// layersSize adds up the images' own layers, and what they share once.
func layersSize(images []image.Summary) int64 {
	var total, shared int64
	for _, i := range images {
		if i.SharedSize < 0 {
			total += i.Size
			continue
		}
		total += i.Size - i.SharedSize
		shared = max(shared, i.SharedSize)
	}
	return total + shared
}
