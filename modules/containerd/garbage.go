package containerd

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins"
	bolt "go.etcd.io/bbolt"
)

// garbageDelay is how soon after a removal what it left is looked for again.
const garbageDelay = 2 * time.Second

// watchGarbage sees to it that garbage is collected. containerd's scheduler
// forgets a removal that it hears of while it still cleans up after others:
// the disk of a removed container would stay taken until the next removal.
func (e *Engine) watchGarbage(l *loader) error {
	instance, err := l.context().GetSingle(plugins.MetadataPlugin)
	if err != nil {
		return err
	}
	db, ok := instance.(*metadata.DB)
	if !ok {
		return fmt.Errorf("%s: got a %T, want a *metadata.DB", plugins.MetadataPlugin, instance)
	}
	ctx, cancel := context.WithCancel(l.ctx)
	ended := make(chan struct{})
	removals := announcements(db)
	go func() {
		defer close(ended)
		announceGarbage(ctx, db, removals, garbageDelay)
	}()
	e.onStop(func() error {
		cancel()
		<-ended
		return nil
	})
	return nil
}

// announcements returns a channel that has a value after a change of the
// database that left garbage, or that finds some of before.
func announcements(db *metadata.DB) <-chan struct{} {
	removals := make(chan struct{}, 1)
	db.RegisterMutationCallback(func(garbage bool) {
		if !garbage {
			return
		}
		select {
		case removals <- struct{}{}:
		default:
		}
	})
	return removals
}

// announceGarbage tells those who watch a database again and again of garbage
// in it, until there is none: a change that changes nothing does that.
func announceGarbage(ctx context.Context, db *metadata.DB, removals <-chan struct{}, delay time.Duration) {
	for {
		select {
		case <-removals:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		select {
		case <-removals: // that change is told again, too
		default:
		}
		_ = db.Update(func(*bolt.Tx) error { return nil }) // whoever changes something next meets the error, too
	}
}
