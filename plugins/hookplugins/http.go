package hookplugins

import (
	"encoding/json"
	"net/http"

	"github.com/containerd/errdefs/pkg/errhttp"
)

// NewHTTPError returns err as an error that a handler answers with a status
// code, as PouchContainer's pkg/httputils has it. It is of the class of
// github.com/containerd/errdefs that stands for the code, so that code which
// knows nothing of HTTP can tell what it means.
func NewHTTPError(err error, code int) error { return httpError{err, errhttp.ToNative(code)} }

type httpError struct{ err, class error }

func (e httpError) Error() string   { return e.err.Error() }
func (e httpError) Unwrap() []error { return []error{e.class, e.err} }

// EncodeResponse answers with a status code and data as JSON, as
// PouchContainer's apis/server has it.
func EncodeResponse(rw http.ResponseWriter, statusCode int, data interface{}) error {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(statusCode)
	return json.NewEncoder(rw).Encode(data)
}
