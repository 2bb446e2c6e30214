package nri

import (
	"context"
	"sync"

	"github.com/containerd/log"
	nrilog "github.com/containerd/nri/pkg/log"
)

// logAsContainerd has NRI, which has one log per process, write to containerd's
// log, which is the daemon's.
var logAsContainerd = sync.OnceFunc(func() { nrilog.Set(containerdLog{}) })

type containerdLog struct{}

func (containerdLog) Debugf(ctx context.Context, format string, args ...any) {
	log.G(ctx).Debugf("nri: "+format, args...)
}

func (containerdLog) Infof(ctx context.Context, format string, args ...any) {
	log.G(ctx).Infof("nri: "+format, args...)
}

func (containerdLog) Warnf(ctx context.Context, format string, args ...any) {
	log.G(ctx).Warnf("nri: "+format, args...)
}

func (containerdLog) Errorf(ctx context.Context, format string, args ...any) {
	log.G(ctx).Errorf("nri: "+format, args...)
}
