package volumes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

// trashPrefix begins the names of directories that hold what is to be
// deleted. No volume's name begins with a dot.
const trashPrefix = ".removed-"

// reconcile reads the records and finishes or undoes what an end of the
// daemon at any moment left half-done:
//
//   - a removed volume's directory is deleted, with its record if that is
//     still there;
//   - a directory without a record was being made, and is deleted, if it is
//     empty; one that holds data becomes a volume again, for nobody must lose
//     data with the store;
//   - a record without a directory was acknowledged, so the volume gets an
//     empty directory.
func (s *Service) reconcile(ctx context.Context) error {
	records := map[string]record{}
	err := s.records.ForEach(bucket, func(name string, raw json.RawMessage) error {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil || r.Name != name || !validName().MatchString(name) {
			return fmt.Errorf("the record of volume %q is damaged: %w", name, errors.Join(err, errors.New("restore the store from a backup")))
		}
		records[name] = r
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.reconcileDirs(ctx, records); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range records {
		there, err := s.exists(filepath.Join(name, dataDir))
		if err != nil {
			return err
		}
		if !there {
			s.log.Warn("the volume's directory is missing: it starts again empty", zap.String("volume", name))
			if err := s.root.RemoveAll(name); err != nil {
				return err
			}
			if err := s.makeDir(name); err != nil {
				return err
			}
		}
		s.volumes[name] = newEntry(r)
	}
	return nil
}

// reconcileDirs looks at every directory, and changes records accordingly.
func (s *Service) reconcileDirs(ctx context.Context, records map[string]record) error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, dir := range entries {
		name := dir.Name()
		if err := ctx.Err(); err != nil {
			return err
		}
		switch _, known := records[name]; {
		case strings.HasPrefix(name, trashPrefix):
			err = s.finishRemoval(name, records)
		case known || !dir.IsDir() || !validName().MatchString(name):
			continue // not ours to judge
		default:
			err = s.adopt(name, records)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finishRemoval deletes what a removal left.
func (s *Service) finishRemoval(trash string, records map[string]record) error {
	removed, err := fs.ReadDir(s.root.FS(), trash)
	if err != nil {
		return err
	}
	for _, dir := range removed {
		name := dir.Name()
		if _, ok := records[name]; !ok {
			continue
		}
		// A volume made anew under the name has a directory.
		if there, err := s.exists(name); there || err != nil {
			continue
		}
		if err := s.records.Delete(bucket, name); err != nil {
			return err
		}
		delete(records, name)
	}
	if err := s.empty(trash); err != nil {
		s.log.Warn("cannot delete a removed volume's data", zap.Error(err))
	}
	return nil
}

// adopt deletes a directory without a record if it is empty, and makes it a
// volume if it is not.
func (s *Service) adopt(name string, records map[string]record) error {
	data, err := fs.ReadDir(s.root.FS(), filepath.Join(name, dataDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(data) == 0 {
		return s.root.RemoveAll(name)
	}
	s.log.Warn("found a volume without a record: it is kept, without labels", zap.String("volume", name))
	r := record{Name: name, CreatedAt: time.Now().UTC()}
	records[name] = r
	return s.records.Put(bucket, name, r)
}
