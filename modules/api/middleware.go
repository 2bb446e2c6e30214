package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/plugins"
)

// dispatcher answers one request after the other: it sets the headers that
// every answer has, finds the route and turns errors and panics of its
// handler into answers.
type dispatcher struct {
	router   *router
	server   string // the Server header
	recorder *telemetry.Recorder
	log      *zap.Logger
}

func (d *dispatcher) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	w := &response{ResponseWriter: rw}
	r, end := d.recorder.Request(r)
	defer func() { end(w.route, w.status) }()
	_ = http.NewResponseController(rw).SetWriteDeadline(time.Time{}) // that of the answer before
	d.setHeaders(w.Header())

	err := d.serve(w, r)
	begun := w.begun
	if err != nil && !begun {
		writeError(w, err)
	}
	d.logRequest(w, r, err, time.Since(begin))
	if err != nil && begun {
		panic(http.ErrAbortHandler) // the client must not take it for a whole answer
	}
}

func (d *dispatcher) setHeaders(h http.Header) {
	h.Set("Api-Version", maxVersion.String())
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", "linux")
	h.Set("Server", d.server)
}

// serve finds the handler and calls it. A panic becomes an error.
func (d *dispatcher) serve(w *response, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			d.log.Error("panic in a handler", zap.String("method", r.Method), zap.String("path", r.URL.Path),
				zap.Any("error", v), zap.ByteString("stack", debug.Stack()))
			err = errdefs.ErrInternal.WithMessage(fmt.Sprintf("the daemon failed on this request, its log has the details: %v", v))
		}
	}()
	v, path, err := splitVersion(r.URL.Path)
	if err != nil {
		return err
	}
	spec := d.router.find(r, path)
	if spec == nil {
		return errdefs.ErrNotFound.WithMessage("page not found")
	}
	w.route = strings.ReplaceAll(spec.Path, ":.*}", "}") // what a variable matches is of no interest to those who watch
	ctx := context.WithValue(r.Context(), versionKey{}, v)
	ctx = plugins.WithRequest(ctx, requestOf(r))
	return spec.HandlerFunc(ctx, w, r.WithContext(ctx))
}

// requestOf says who asks and for what.
func requestOf(r *http.Request) plugins.Request {
	name := r.PathValue("name")
	if name == "" {
		name = r.URL.Query().Get("name")
	}
	return plugins.Request{
		FrontEnd:   plugins.FrontEndDocker,
		Name:       strings.TrimPrefix(name, "/"),
		RemoteUser: remoteUser(r),
	}
}

func (d *dispatcher) logRequest(w *response, r *http.Request, err error, took time.Duration) {
	level := zap.DebugLevel
	if err != nil && statusOf(err) == http.StatusInternalServerError && !isGone(r, err) {
		level = zap.ErrorLevel
	}
	if w.status == 0 {
		w.status = http.StatusOK // net/http's, when a handler says nothing
	}
	if e := d.log.Check(level, "request"); e != nil {
		e.Write(zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", w.status),
			zap.String("user", remoteUser(r)), zap.Duration("duration", took), zap.Error(err))
	}
}

// isGone tells whether something failed because the client has left. What comes
// back from a shim has lost its class.
func isGone(r *http.Request, err error) bool {
	return errdefs.IsCanceled(err) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || r.Context().Err() != nil && strings.Contains(err.Error(), context.Canceled.Error())
}

// response remembers whether the answer has begun. It passes on what handlers
// and http.ResponseController look for.
type response struct {
	http.ResponseWriter
	begun  bool
	status int
	route  string // the pattern of the request's route; empty without one
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if !w.begun && status >= 200 {
		w.begun, w.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun, w.status = true, http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *response) Flush() { _ = w.FlushError() }

func (w *response) FlushError() error {
	if !w.begun {
		w.begun, w.status = true, http.StatusOK
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.begun, w.status = true, http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}
