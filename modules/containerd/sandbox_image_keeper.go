package containerd

import (
	"context"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/typeurl/v2"
	"go.uber.org/zap"
)

// keepSandboxImage writes the image again when somebody removes it, as
// `crictl rmi` does: there is no registry from which CRI could pull it, and no
// pod would start until the daemon does.
func (e *Engine) keepSandboxImage(ctx context.Context, name, program string) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	removed, failed := e.podClient.EventService().Subscribe(ctx, `topic=="/images/delete",namespace==`+PodNamespace)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case envelope := <-removed:
				event, err := typeurl.UnmarshalAny(envelope.Event)
				if gone, ok := event.(*events.ImageDelete); err != nil || !ok || gone.Name != name {
					continue
				}
				if err := e.writeSandboxImage(ctx, name, program); err != nil && ctx.Err() == nil {
					e.log.Error("the image of pods' first process was removed and cannot be written again", zap.String("image", name), zap.Error(err))
				}
			case <-failed: // the engine stops
				return
			}
		}
	}()
	e.onStop(func() error {
		cancel()
		<-ended
		return nil
	})
}
