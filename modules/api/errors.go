package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errhttp"
	"github.com/moby/moby/api/types/common"
)

// statusOf returns the status for an error: that of its class, as dockerd has
// them.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errLargeBody):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errSlowBody):
		return http.StatusRequestTimeout
	case errdefs.IsAlreadyExists(err), errdefs.IsFailedPrecondition(err):
		return http.StatusConflict
	case errdefs.IsOutOfRange(err):
		return http.StatusBadRequest
	}
	return errhttp.ToHTTP(err)
}

// writeError answers with {"message": …}.
func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	_ = writeJSON(w, status, common.ErrorResponse{Message: err.Error()})
}

func badRequest(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
