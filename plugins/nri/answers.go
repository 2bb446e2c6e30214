package nri

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"
)

// answers are what the NRI plugins did with one request.
type answers struct {
	event    string
	answered []string // names, "10-name"
	failed   []failure
	refused  []string // what cannot be done, and who asked for it
}

type failure struct {
	plugin string
	err    error
}

// verdict is the error of a request. NRI drops a plugin that does not answer in
// two seconds, or whose connection is closed, and goes on without: the first is
// an error here. The second is not, as most such plugins have been stopped long
// before, which NRI does not note; where one matters it is required.
func (a *answers) verdict(ctx context.Context, err error, log *zap.Logger) error {
	for _, f := range a.failed {
		switch {
		case context.Cause(ctx) != nil:
			return fmt.Errorf("NRI plugin %q: %s: %w", f.plugin, a.event, context.Cause(ctx))
		case errors.Is(f.err, context.DeadlineExceeded):
			return errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("NRI plugin %q: %s: it does not answer and was disconnected: restart it", f.plugin, a.event))
		case err != nil:
			return fmt.Errorf("NRI plugin %q: %s: %s", f.plugin, a.event, message(err))
		}
		log.Warn("an NRI plugin has gone away: restart it if it should not have", zap.String("nri-plugin", f.plugin), zap.Error(f.err))
	}
	if err != nil {
		return fmt.Errorf("NRI: %s: %s", a.event, message(err))
	}
	if len(a.refused) > 0 {
		return errdefs.ErrNotImplemented.WithMessage(strings.Join(a.refused, "; "))
	}
	return nil
}

// lacks reports a plugin without which no container is to be made.
func (a *answers) lacks(required []string) error {
	for _, name := range required {
		if !slices.ContainsFunc(a.answered, func(plugin string) bool {
			_, base, _ := strings.Cut(plugin, "-")
			return name == plugin || name == base
		}) {
			return errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("NRI plugin %q is required and takes no part: start it, or take it off the list plugins.nri.required", name))
		}
	}
	return nil
}
