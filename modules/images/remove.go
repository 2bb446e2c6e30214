package images

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Remove takes a name off an image, and removes the image with its last name,
// or by its ID with all names. An image that a container was made from is
// removed by nobody: its last name goes with force only, and then the image
// stays without one. The error is of class errdefs.ErrConflict.
//
// noPrune changes nothing: there are no parents that could be left over.
func (s *Service) Remove(ctx context.Context, name string, force, noPrune bool) ([]image.DeleteResponse, error) {
	f, err := s.family(ctx, name)
	if err != nil {
		return nil, err
	}
	users, err := s.users(ctx, f.ID)
	if err != nil {
		return nil, err
	}
	if asked := f.record.Name; f.Reference != "" && len(f.all) > 1 {
		return s.untag(ctx, f, asked)
	}
	if f.Reference == "" {
		if err := removableByID(f, users, force); err != nil {
			return nil, err
		}
	} else if len(users) > 0 && !force {
		return nil, conflict("unable to remove repository reference %q (must force) - container %s is using its referenced image %s", name, users[0].short(), short(f.ID))
	}
	return s.removeAll(ctx, f, len(users) > 0)
}

// removableByID tells what keeps an image from being removed by its ID.
func removableByID(f *family, users []user, force bool) error {
	tags, _ := f.names()
	for _, u := range users {
		if u.running {
			return conflict("unable to delete %s (cannot be forced) - image is being used by running container %s", short(f.ID), u.short())
		}
	}
	switch {
	case len(tags) > 1 && !force:
		return conflict("unable to delete %s (must be forced) - image is referenced in multiple repositories", short(f.ID))
	case len(users) > 0 && !force:
		return conflict("unable to delete %s (must be forced) - image is being used by stopped container %s", short(f.ID), users[0].short())
	}
	return nil
}

func conflict(format string, args ...any) error {
	return errdefs.ErrConflict.WithMessage("conflict: " + fmt.Sprintf(format, args...))
}

// untag removes one of several names.
func (s *Service) untag(ctx context.Context, f *family, name string) ([]image.DeleteResponse, error) {
	if err := s.client().ImageService().Delete(ctx, name); err != nil {
		return nil, err
	}
	s.publish(events.ActionUnTag, f.Image, f.ID.String())
	return []image.DeleteResponse{{Untagged: familiar(name)}}, nil
}

// removeAll removes the records of an image and waits until what only they
// held is gone. Of an image in use one record stays, without a name.
func (s *Service) removeAll(ctx context.Context, f *family, used bool) ([]image.DeleteResponse, error) {
	store := s.client().ImageService()
	if used {
		unnamed := images.Image{Name: danglingPrefix + f.record.Target.Digest.String(), Target: f.record.Target}
		if _, err := store.Create(ctx, unnamed); err != nil && !errdefs.IsAlreadyExists(err) {
			return nil, err
		}
	}
	removed := []image.DeleteResponse{}
	for n, i := range f.all {
		if dangling(i.record.Name) && used {
			continue
		}
		var how []images.DeleteOpt
		if n == len(f.all)-1 {
			how = append(how, images.SynchronousDelete())
		}
		if err := store.Delete(ctx, i.record.Name, how...); err != nil && !errdefs.IsNotFound(err) {
			return removed, err
		}
		if i.Reference != "" {
			removed = append(removed, image.DeleteResponse{Untagged: familiar(i.Reference)})
			s.publish(events.ActionUnTag, f.Image, f.ID.String())
		}
	}
	if !used {
		removed = append(removed, image.DeleteResponse{Deleted: f.ID.String()})
		s.bus.Image(events.ActionDelete, f.ID.String(), map[string]string{"name": f.ID.String()})
	}
	return removed, nil
}

// user is a container that was made from an image.
type user struct {
	id      string
	running bool
}

func (u user) short() string { return u.id[:min(12, len(u.id))] }

// users are the containers that were made from an image.
func (s *Service) users(ctx context.Context, id digest.Digest) ([]user, error) {
	found, err := s.client().Containers(ctx, fmt.Sprintf("labels.%q==%s", ImageIDLabel, id))
	if err != nil {
		return nil, err
	}
	var users []user
	for _, c := range found {
		u := user{id: c.ID()}
		if task, err := c.Task(ctx, nil); err == nil {
			status, err := task.Status(ctx)
			u.running = err == nil && status.Status != client.Stopped
		}
		users = append(users, u)
	}
	return users, nil
}

// Tag gives an image another name; an image that had it before loses it.
func (s *Service) Tag(ctx context.Context, source string, target reference.NamedTagged) error {
	i, err := s.Resolve(ctx, source)
	if err != nil {
		return err
	}
	if _, err := s.put(ctx, images.Image{Name: target.String(), Target: i.record.Target}); err != nil {
		return fmt.Errorf("tag %s as %s: %w", source, target, err)
	}
	s.publish(events.ActionTag, i, reference.FamiliarString(target))
	return nil
}

// Prune removes the images that no container uses and that have no name, or,
// with dangling=false, all of them.
func (s *Service) Prune(ctx context.Context, f filters.Args) (image.PruneReport, error) {
	report := image.PruneReport{ImagesDeleted: []image.DeleteResponse{}}
	if err := f.Validate("dangling", "label", "label!", "until"); err != nil {
		return report, err
	}
	unnamedOnly, err := f.Bool("dangling", true)
	if err != nil {
		return report, err
	}
	others := maps.Clone(f)
	delete(others, "dangling") // means something else here than in a list
	keep, err := s.filter(ctx, others)
	if err != nil {
		return report, err
	}
	all, err := s.families(ctx)
	if err != nil {
		return report, err
	}
	sizes := s.newSizes()
	for _, i := range all {
		if (unnamedOnly && i.Reference != "") || !keep(i) {
			continue
		}
		if users, err := s.users(ctx, i.ID); err != nil {
			return report, err
		} else if len(users) > 0 {
			continue
		}
		size, err := sizes.of(ctx, i.Image)
		if err != nil {
			return report, err
		}
		removed, err := s.removeAll(ctx, i, false)
		report.ImagesDeleted = append(report.ImagesDeleted, removed...)
		if err != nil {
			return report, err
		}
		report.SpaceReclaimed += uint64(size)
	}
	s.bus.Image(events.ActionPrune, "", map[string]string{"reclaimed": fmt.Sprint(report.SpaceReclaimed)})
	return report, nil
}
