package containers

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"
)

// undoList holds what takes back the steps of an operation.
type undoList []undoStep

type undoStep struct {
	what string
	f    func(context.Context) error
}

func (u *undoList) add(what string, f func(context.Context) error) {
	*u = append(*u, undoStep{what, f})
}

// run takes all steps back, last first. What fails is logged: the next start
// of the daemon tries again. It does not end with ctx.
func (u *undoList) run(ctx context.Context, log *zap.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for i := len(*u) - 1; i >= 0; i-- {
		step, begun := (*u)[i], time.Now()
		if err := step.f(ctx); err != nil && !errdefs.IsNotFound(err) {
			log.Warn("cannot undo a step", zap.String("step", step.what), zap.Error(err), zap.Duration("duration", time.Since(begun)))
		}
	}
	*u = nil
}
