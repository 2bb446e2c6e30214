// Package apiguard says who may do what over the HTTP API, and writes down who
// did: rules decide about each request by its route and by the client's
// certificate, or by the user at the other end of a unix socket; routes can be
// taken away; requests and answers go to an audit file.
//
// It wraps the handlers of routes, so that a request is decided about when its
// route is known, and before anything of it is read.
package apiguard

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errhttp"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon that configures it. Its priority
// puts it behind the others, so that it guards the routes that they add.
var Module = plugins.Provide("apiguard", New, plugins.WhenConfigured(), plugins.Priority(-1000),
	plugins.Defaults(Config{Default: Deny, Audit: Audit{OnAuditError: Refuse}}))

// Params are what the plugin needs.
type Params struct {
	plugins.In
	Config Config
	Log    *zap.Logger
}

// Plugin is the guard.
type Plugin struct {
	config Config
	audit  *audit // nil without a file
	number atomic.Uint64
}

// New returns the plugin. The audit file is opened by the hook.
func New(p Params) (*Plugin, error) {
	g := &Plugin{config: p.Config}
	for i := range g.config.Rules {
		if r := &g.config.Rules[i]; r.Name == "" {
			r.Name = fmt.Sprintf("rules[%d]", i)
		}
	}
	if p.Config.Audit.File != "" {
		g.audit = newAudit(p.Config.Audit, p.Log)
	}
	return g, nil
}

// PreStartHook opens the audit file.
func (g *Plugin) PreStartHook() error {
	if g.audit == nil {
		return nil
	}
	return g.audit.open()
}

// PreStopHook closes the audit file: the API has stopped.
func (g *Plugin) PreStopHook() error {
	if g.audit == nil {
		return nil
	}
	return g.audit.close()
}

// UpdateHandler takes routes away and guards the others. A rule that refuses
// and a removal are for routes that exist: what matches none is a mistake that
// would leave open what was meant to be shut. The hook has no other way than a
// panic, which the daemon catches, to say so.
func (g *Plugin) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	for i := range g.config.Remove {
		r := &g.config.Remove[i]
		if !slices.ContainsFunc(routes, r.matches) {
			panic(fmt.Errorf("remove[%d] matches no route: see the routes' spelling in the README", i))
		}
	}
	for i := range g.config.Rules {
		if r := &g.config.Rules[i]; r.Do == Deny && !slices.ContainsFunc(routes, r.Routes.matches) {
			panic(fmt.Errorf("rule %q, which denies, matches no route: see the routes' spelling in the README", r.Name))
		}
	}
	routes = slices.DeleteFunc(routes, func(spec *types.HandlerSpec) bool {
		return slices.ContainsFunc(g.config.Remove, func(r Routes) bool { return r.matches(spec) })
	})
	for _, spec := range routes {
		spec.HandlerFunc = g.guard(spec)
	}
	return routes
}

// guard wraps the handler of a route. Which rules are for it is known now.
func (g *Plugin) guard(spec *types.HandlerSpec) types.Handler {
	var rules []*Rule
	for i := range g.config.Rules {
		if r := &g.config.Rules[i]; r.Routes.matches(spec) {
			rules = append(rules, r)
		}
	}
	route, next := spec.Path, spec.HandlerFunc
	return func(ctx context.Context, w http.ResponseWriter, req *http.Request) error {
		who := clientOf(ctx, req)
		decision, rule := g.decide(rules, who)
		if g.audit == nil {
			if decision == Deny {
				return denied(who, req, route, rule)
			}
			return next(ctx, w, req)
		}
		return g.audited(ctx, w, req, record{Route: route, Client: who, Decision: decision, Rule: rule}, next)
	}
}

// decide finds the first rule that is for the client.
func (g *Plugin) decide(rules []*Rule, who *client) (Decision, string) {
	for _, r := range rules {
		if r.Who.matches(who) {
			return r.Do, r.Name
		}
	}
	return g.config.Default, ""
}

func denied(who *client, req *http.Request, route, rule string) error {
	why := "no rule allows it"
	if rule != "" {
		why = fmt.Sprintf("rule %q", rule)
	}
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("%s may not %s %s: %s", who, req.Method, route, why))
}

// audited serves a request between two records.
func (g *Plugin) audited(ctx context.Context, w http.ResponseWriter, req *http.Request, r record, next types.Handler) (err error) {
	begin := time.Now()
	r.ID = g.number.Add(1)
	r.Time, r.Event, r.Method, r.Path, r.Remote = begin, asked, req.Method, shorten(req.URL.Path), remote(req)
	if err := g.audit.write(&r); err != nil && g.config.Audit.OnAuditError == Refuse {
		return errdefs.ErrUnavailable.WithMessage("the request cannot be written down, and is refused: see the daemon's log")
	}
	answer := &answer{ResponseWriter: w}
	panicked := true
	defer func() {
		r.Time, r.Event, r.Status = time.Now(), answered, answer.status
		switch {
		case r.Status != 0:
		case err != nil:
			r.Status = statusOf(err)
		case panicked:
			r.Status = http.StatusInternalServerError
		default:
			r.Status = http.StatusOK
		}
		r.Milliseconds = float64(r.Time.Sub(begin).Microseconds()) / 1000
		_ = g.audit.write(&r) // it is too late to refuse, and the log has it
	}()
	if r.Decision == Deny {
		err = denied(r.Client, req, r.Route, r.Rule)
	} else {
		err = next(ctx, answer, req)
	}
	panicked = false
	return err
}

// statusOf is the status with which the API answers an error.
func statusOf(err error) int {
	switch {
	case errdefs.IsAlreadyExists(err), errdefs.IsFailedPrecondition(err):
		return http.StatusConflict
	case errdefs.IsOutOfRange(err):
		return http.StatusBadRequest
	}
	return errhttp.ToHTTP(err)
}

// remote is where a request came from; a unix socket's peer has no address.
func remote(r *http.Request) string {
	if r.RemoteAddr == "@" {
		return ""
	}
	return r.RemoteAddr
}

// shorten bounds what a client can write into the file with one request.
func shorten(path string) string {
	const most = 1 << 10
	if len(path) > most {
		path = strings.ToValidUTF8(path[:most], "") + "…"
	}
	return path
}

// answer remembers the status of an answer. It passes on what handlers and
// http.ResponseController look for.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) begin(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// WriteHeader begins the answer, unless it is an interim one.
func (a *answer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		a.begin(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

// Flush sends what has been written.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError sends what has been written, or says why not.
func (a *answer) FlushError() error {
	a.begin(http.StatusOK)
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack takes the connection over.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.begin(http.StatusSwitchingProtocols)
	}
	return conn, buffered, err
}
