package apiguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// The events of a request.
const (
	asked    = "asked"
	answered = "answered"
)

// record is a line of the audit file. It has nothing of a request's query,
// header and body: they may hold secrets.
type record struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
	// ID is the same for what was asked and its answer, and counts from 1 at
	// each start of the daemon.
	ID       uint64   `json:"id"`
	Client   *client  `json:"client"`
	Remote   string   `json:"remote,omitempty"`
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Route    string   `json:"route"`
	Decision Decision `json:"decision"`
	Rule     string   `json:"rule,omitempty"`

	Status       int     `json:"status,omitempty"`
	Milliseconds float64 `json:"ms,omitempty"`
}

// recheck is how often it is looked whether the file was moved away.
const recheck = time.Second

// audit is the file.
type audit struct {
	config Audit
	log    *zap.Logger

	mu      sync.Mutex
	file    *os.File // nil before it is opened, and after it is closed
	size    int64
	checked time.Time
	torn    bool // the last line has no end
	failing bool
}

func newAudit(c Audit, log *zap.Logger) *audit { return &audit{config: c, log: log} }

func (a *audit) open() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.openLocked()
}

func (a *audit) openLocked() error {
	// O_NONBLOCK: without it a pipe that nobody reads would keep the daemon from starting.
	f, err := os.OpenFile(a.config.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the audit file, make its directory or choose another: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("the audit file %s is not a regular file: choose another", a.config.File)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if a.file != nil {
		_ = a.file.Close()
	}
	a.file, a.size, a.checked, a.torn = f, info.Size(), time.Now(), false
	return nil
}

func (a *audit) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := errors.Join(a.file.Sync(), a.file.Close())
	a.file = nil
	return err
}

// write adds a line, with one call. The first of a row of failures is logged.
func (a *audit) write(r *record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.writeLocked(append(line, '\n'), r.Time)
	switch {
	case err != nil && !a.failing:
		a.log.Error("cannot write to the audit file", zap.String("file", a.config.File), zap.String("requests", string(a.config.OnAuditError)), zap.Error(err))
	case err == nil && a.failing:
		a.log.Warn("the audit file can be written to again", zap.String("file", a.config.File))
	}
	a.failing = err != nil
	return err
}

func (a *audit) writeLocked(line []byte, now time.Time) error {
	if a.file == nil {
		return os.ErrClosed
	}
	if err := a.follow(now); err != nil {
		return err
	}
	if limit := int64(a.config.MaxSize); limit > 0 && a.size > 0 && a.size+int64(len(line)) > limit {
		if err := os.Rename(a.config.File, a.config.File+".1"); err != nil {
			return err
		}
		if err := a.openLocked(); err != nil {
			return err
		}
	}
	if a.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := a.file.Write(line)
	a.size += int64(n)
	a.torn = n > 0 && err != nil || a.torn && n == 0
	return err
}

// follow opens the file anew when it was moved away or removed, as logrotate
// does.
func (a *audit) follow(now time.Time) error {
	if !a.failing && now.Sub(a.checked) < recheck {
		return nil
	}
	a.checked = now
	there, err := os.Lstat(a.config.File)
	if err == nil {
		ours, err := a.file.Stat()
		if err == nil && os.SameFile(there, ours) {
			a.size = ours.Size() // it may have been truncated
			return nil
		}
	}
	return a.openLocked()
}
