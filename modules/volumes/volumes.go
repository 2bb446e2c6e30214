// Package volumes makes, mounts and removes volumes: the one place where a
// volume comes into being, whether a client asked for it or a container's
// mount implies it, so that the PreVolumeCreate hook sees each of them.
//
// A volume is a record in the store and a directory DataRoot/volumes/<name>
// whose _data is what containers see. The directory is made before the record
// and put out of the way before the record goes, so that at the next start it
// is plain which half of an interrupted step to undo; see reconcile.go. The
// records are few and small: all of them are held in memory.
package volumes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/locker"
	"github.com/moby/moby/api/types/volume"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/plugins"
)

const (
	// LocalDriver is the name of the one driver.
	LocalDriver = "local"
	// AnonymousLabel marks a volume whose name nobody chose, as dockerd does.
	AnonymousLabel = "com.docker.volume.anonymous"

	bucket  = "volumes"
	dataDir = "_data"
)

// Service is the volumes of a daemon. Its methods may be called at the same
// time, between Start and Stop.
type Service struct {
	path    string // absolute; from Start on without symbolic links
	records *store.Store
	hooks   plugins.VolumePlugin
	bus     *events.Bus
	log     *zap.Logger

	root     *os.Root       // path, opened: nothing below it leads out of it
	creating *locker.Locker // by the name asked for, while hooks run

	mu      sync.Mutex
	volumes map[string]*entry
}

// record is what the store keeps of a volume.
type record struct {
	Name      string
	CreatedAt time.Time
	Labels    map[string]string `json:",omitempty"`
	Options   map[string]string `json:",omitempty"`
	// Asked are the options before the hooks changed them: the same request
	// finds the same volume.
	Asked map[string]string `json:",omitempty"`
	// Explain is what plugins did when the volume was asked for by itself, as
	// an explain.Explanation; what they did to one that a container implies is
	// kept with the container.
	Explain json.RawMessage `json:",omitempty"`
}

// entry is one volume in memory.
type entry struct {
	record
	users map[string]struct{} // ids of the containers that refer to it; under Service.mu

	mounting sync.Mutex          // held while it is mounted and unmounted
	mounts   map[string]struct{} // ids of the containers that run with it; under mounting
}

func newEntry(r record) *entry {
	return &entry{record: r, users: map[string]struct{}{}, mounts: map[string]struct{}{}}
}

// use notes that a container refers to the volume; "" is none. The caller
// holds Service.mu.
func (e *entry) use(container string) {
	if container != "" {
		e.users[container] = struct{}{}
	}
}

// New returns a service for the volumes below the directory root.
func New(root string, records *store.Store, hooks plugins.VolumePlugin, bus *events.Bus, log *zap.Logger) *Service {
	return &Service{path: root, records: records, hooks: hooks, bus: bus, log: log,
		creating: locker.New(), volumes: map[string]*entry{}}
}

// Start opens the directory and brings it and the records into agreement.
func (s *Service) Start(ctx context.Context) error {
	// Others may pass through to a volume's data but not look around.
	if err := os.MkdirAll(s.path, 0o701); err != nil {
		return fmt.Errorf("cannot make the directory of the volumes: %w", err)
	}
	// The kernel tells where things are mounted without symbolic links.
	path, err := filepath.EvalSymlinks(s.path)
	if err == nil {
		s.path = path
		s.root, err = os.OpenRoot(path)
	}
	if err != nil {
		return fmt.Errorf("cannot open the directory of the volumes: %w", err)
	}
	if err := s.reconcile(ctx); err != nil {
		return errors.Join(fmt.Errorf("volumes: %w", err), s.Stop(ctx))
	}
	return nil
}

// Stop closes the directory. Mounts stay: containers may outlive the daemon.
func (s *Service) Stop(context.Context) error {
	if s.root == nil {
		return nil
	}
	return s.root.Close()
}

// Get returns a volume. Its error is an errdefs.ErrNotFound.
func (s *Service) Get(_ context.Context, name string) (*volume.Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(name)
	if err != nil {
		return nil, err
	}
	found := s.describe(e)
	if len(e.Explain) > 0 {
		found.Status = map[string]any{"pouchfx": map[string]any{"Explain": e.Explain}}
	}
	return &found, nil
}

// List returns the volumes that pass the filters dangling, driver, label and
// name, by name.
func (s *Service) List(_ context.Context, f filters.Args) (volume.ListResponse, error) {
	list := volume.ListResponse{Volumes: []volume.Volume{}}
	if err := f.Validate("dangling", "driver", "label", "name"); err != nil {
		return list, err
	}
	dangling, err := f.Bool("dangling", false)
	if err != nil {
		return list, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.volumes {
		if f.Has("dangling") && dangling != (len(e.users) == 0) {
			continue
		}
		if f.Exact("driver", LocalDriver) && f.Labels(e.Labels) && f.Match("name", e.Name) {
			list.Volumes = append(list.Volumes, s.describe(e))
		}
	}
	slices.SortFunc(list.Volumes, func(a, b volume.Volume) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Usage returns all volumes, by name, with the bytes that each holds and the
// number of containers that refer to it. It reads the directories of all; what
// is mounted in a volume is not counted, and its size is -1.
func (s *Service) Usage(ctx context.Context) ([]volume.Volume, error) {
	found, err := s.List(ctx, nil)
	if err != nil {
		return nil, err
	}
	for i := range found.Volumes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := &found.Volumes[i]
		v.UsageData = &volume.UsageData{Size: -1, RefCount: s.references(v.Name)}
		if len(v.Options) == 0 {
			v.UsageData.Size = int64(s.size(v.Name))
		}
	}
	return found.Volumes, nil
}

func (s *Service) references(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.volumes[name]; ok {
		return int64(len(e.users))
	}
	return 0
}

// find returns a volume. The caller holds the lock.
func (s *Service) find(name string) (*entry, error) {
	e, ok := s.volumes[name]
	if !ok {
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("get %s: no such volume", name))
	}
	return e, nil
}

// describe returns a volume as clients see it.
func (s *Service) describe(e *entry) volume.Volume {
	return volume.Volume{
		CreatedAt:  e.CreatedAt.Format(time.RFC3339),
		Driver:     LocalDriver,
		Labels:     maps.Clone(e.Labels),
		Mountpoint: s.dataPath(e.Name),
		Name:       e.Name,
		Options:    maps.Clone(e.Options),
		Scope:      "local",
	}
}

// dataPath is the directory that containers see.
func (s *Service) dataPath(name string) string { return filepath.Join(s.path, name, dataDir) }

// exists reports whether a path below the volumes' directory is there.
func (s *Service) exists(path string) (bool, error) {
	_, err := s.root.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
