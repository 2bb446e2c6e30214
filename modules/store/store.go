// Package store keeps, in one bbolt file, the objects of the daemon for which
// containerd has no home, such as volumes. Objects are JSON, in buckets, under
// keys; what a method has returned from is on disk.
//
// containerd stays the source of truth for everything it knows; what is here
// is rebuilt or checked against it when the daemon starts.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long Start waits for a daemon that is just ending.
const lockTimeout = 5 * time.Second

// Store is one file of objects. Its methods may be called from many
// goroutines, between Start and Stop.
type Store struct {
	path string
	db   *bbolt.DB
}

// New makes a store of the file at path; Start opens it.
func New(path string) *Store { return &Store{path: path} }

// Start opens the file, and makes it when it is not there.
func (s *Store) Start(context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o711); err != nil {
		return err
	}
	db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("another daemon uses %s: stop it, or give this one its own --data-root", s.path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", s.path, err)
	}
	s.db = db
	return nil
}

// Stop closes the file. It is safe without Start and twice.
func (s *Store) Stop(context.Context) error {
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

// Put stores v under key, in place of what was there.
func (s *Store) Put(bucket, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store %s %s: %w", bucket, key, err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), text)
	})
	if err != nil {
		return fmt.Errorf("store %s %s: %w", bucket, key, err)
	}
	return nil
}

// Get decodes what is stored under key into v, a pointer. The error is of
// class errdefs.ErrNotFound when nothing is.
func (s *Store) Get(bucket, key string, v any) error {
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return errdefs.ErrNotFound
		}
		text := b.Get([]byte(key))
		if text == nil {
			return errdefs.ErrNotFound
		}
		return json.Unmarshal(text, v)
	})
	if err != nil {
		return fmt.Errorf("stored %s %s: %w", bucket, key, err)
	}
	return nil
}

// Delete removes what is stored under key, if anything is.
func (s *Store) Delete(bucket, key string) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		return b.Delete([]byte(key))
	})
	if err != nil {
		return fmt.Errorf("delete stored %s %s: %w", bucket, key, err)
	}
	return nil
}

// ForEach calls f for everything in a bucket, in the order of the keys, until
// f fails; it returns f's error. f gets its own copy, sees the bucket as it
// was when ForEach was called, and must not change the store.
func (s *Store) ForEach(bucket string, f func(key string, raw json.RawMessage) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			return f(string(k), append(json.RawMessage(nil), v...))
		})
	})
}
