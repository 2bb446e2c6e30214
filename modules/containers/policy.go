package containers

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/types"
)

// Restarts wait longer and longer, and start over after a run that lasted.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = time.Minute
	backoffReset = 10 * time.Second
)

// shouldRestart tells whether a policy starts a container again.
func shouldRestart(p types.RestartPolicy, st state) bool {
	switch {
	case st.Stopped:
		return false
	case p.IsAlways(), p.IsUnlessStopped():
		return true
	case p.IsOnFailure():
		return st.ExitCode != 0 && (p.MaximumRetryCount == 0 || st.RestartCount < p.MaximumRetryCount)
	}
	return false
}

// backoff is how long to wait before the next restart.
func backoff(st state) time.Duration {
	// 100 ms doubles ten times before it passes a minute.
	return min(backoffFirst<<min(st.Quick, 10), backoffMost)
}

// lasted tells whether a run was long enough for the waiting to start over.
func lasted(st state) bool { return st.FinishedAt.Sub(st.StartedAt) >= backoffReset }

// wantsRestart tells whether a container that ended is started again.
func (s *Service) wantsRestart(c *ctr) bool {
	c.mu.Lock()
	held := c.removing || c.once
	c.mu.Unlock()
	return !held && s.background.Err() == nil && shouldRestart(c.record().HostConfig.RestartPolicy, c.record().State)
}

// restartLater has a container started again after a while. The caller holds
// c.mu.
func (s *Service) restartLater(c *ctr, wait time.Duration) {
	var waiting context.Context
	waiting, c.pending = context.WithCancel(s.background)
	s.owned.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-waiting.Done():
			return
		case <-timer.C:
		}
		err := s.start(waiting, c, true)
		if err != nil && !errors.Is(err, errStopped) && !errors.Is(err, context.Canceled) {
			// As dockerd: what cannot even be started is not tried again.
			s.Log.Warn("cannot restart a container", containerField(c), zap.Error(err))
			c.waiters.answer(c.record().State.ExitCode, false)
		}
	})
}
