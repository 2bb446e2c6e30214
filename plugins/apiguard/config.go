package apiguard

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// Config is the section plugins.apiguard of the configuration file.
type Config struct {
	// Default decides about requests for which no rule does.
	Default Decision `yaml:"default"`
	// Rules decide: the first that is for a route and a client.
	Rules []Rule `yaml:"rules"`
	// Remove takes routes away, for everybody.
	Remove []Routes `yaml:"remove"`
	// Audit says where requests are written down.
	Audit Audit `yaml:"audit"`
}

// Decision is what becomes of a request.
type Decision string

// The decisions.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
)

// UnmarshalText accepts "allow" and "deny".
func (d *Decision) UnmarshalText(text []byte) error {
	return choose(d, text, Allow, Deny)
}

// Rule decides about the requests of some clients to some routes.
type Rule struct {
	// Name is what refusals and the audit call it; empty means its place,
	// rules[0].
	Name string `yaml:"name"`
	// Do is the decision.
	Do Decision `yaml:"do"`
	// Who are the clients; nobody in particular means all.
	Who Who `yaml:"who"`
	// Routes are where they go.
	Routes Routes `yaml:",inline"`
}

// Validate reports a rule that decides nothing, or about no route.
func (r Rule) Validate() error {
	if r.Do == "" {
		return fmt.Errorf("the key do is missing: give %q or %q", Allow, Deny)
	}
	return r.Routes.Validate()
}

// Who is which clients. All that is given must match, and what a client does
// not have matches negated patterns alone.
type Who struct {
	// CN, O and OU are of the subject of the client's certificate.
	CN *when.Pattern `yaml:"cn"`
	O  *when.Pattern `yaml:"o"`
	OU *when.Pattern `yaml:"ou"`
	// SAN is one of its other names: DNS, mail, IP address or URI.
	SAN *when.Pattern `yaml:"san"`
	// UID is the user at the other end of a unix socket, as a number.
	UID *when.Pattern `yaml:"uid"`
}

func (w *Who) matches(c *client) bool {
	return w.CN.Matches(c.CN...) && w.O.Matches(c.O...) && w.OU.Matches(c.OU...) && w.SAN.Matches(c.SAN...) && w.UID.Matches(c.UID...)
}

// Routes are some routes of the API.
type Routes struct {
	// Methods are those of HTTP; none means all.
	Methods []string `yaml:"methods"`
	// Paths are patterns for the routes as they are spelt, without a version:
	// /containers/{name:.*}/json, or /containers/{name}/json for short; none
	// means all.
	Paths []*when.Pattern `yaml:"paths"`
}

// Validate reports what no route can match.
func (r Routes) Validate() error {
	for _, m := range r.Methods {
		if m == "" || m != strings.ToUpper(m) {
			return fmt.Errorf("method %q: write a method of HTTP in capitals, such as GET", m)
		}
	}
	for _, p := range r.Paths {
		if p == nil || !strings.HasPrefix(strings.TrimPrefix(p.String(), "!"), "/") && !strings.HasPrefix(strings.TrimPrefix(p.String(), "!"), "*") {
			return fmt.Errorf("path %q: begins with / or *, as in /containers/*", p)
		}
	}
	return nil
}

func (r *Routes) matches(spec *types.HandlerSpec) bool {
	return (len(r.Methods) == 0 || slices.Contains(r.Methods, spec.Method)) &&
		(len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(p *when.Pattern) bool { return p.Matches(spec.Path, short(spec.Path)) }))
}

// short leaves out what a route's variables match: {name:.*} is {name}.
func short(path string) string {
	var b strings.Builder
	depth, left := 0, false
	for _, r := range path {
		switch {
		case r == '{':
			depth++
		case r == '}':
			if depth--; depth == 0 {
				left = false
			}
		case r == ':' && depth == 1:
			left = true
		}
		if !left {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Audit is a file with a line of JSON for each request and each answer.
type Audit struct {
	// File is an absolute path; empty means that nothing is written down.
	File string `yaml:"file"`
	// MaxSize is how many bytes it may have before it becomes File.1, in place
	// of an older one; 0 means no bound.
	MaxSize Bytes `yaml:"max-size"`
	// OnAuditError says what becomes of a request that cannot be written down.
	OnAuditError OnAuditError `yaml:"onAuditError"`
}

// Validate reports a file that cannot be found.
func (a Audit) Validate() error {
	if a.File != "" && (!filepath.IsAbs(a.File) || filepath.Clean(a.File) == "/") {
		return fmt.Errorf("file %q: must be an absolute path, such as /var/log/pouchfx-audit.json", a.File)
	}
	if a.File == "" && a.MaxSize != 0 {
		return errors.New("max-size without a file: give the file")
	}
	return nil
}

// OnAuditError says what becomes of a request that cannot be written down.
type OnAuditError string

// What becomes of it.
const (
	Refuse   OnAuditError = "refuse"
	Continue OnAuditError = "continue"
)

// UnmarshalText accepts "refuse" and "continue".
func (o *OnAuditError) UnmarshalText(text []byte) error {
	return choose(o, text, Refuse, Continue)
}

func choose[T ~string](to *T, text []byte, allowed ...T) error {
	if !slices.Contains(allowed, T(text)) {
		return fmt.Errorf("%q: use %q or %q", text, allowed[0], allowed[1])
	}
	*to = T(text)
	return nil
}

// Bytes is a size, written as 64m or 1g.
type Bytes int64

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a size: write bytes, or a number with a unit, such as 64m or 1g", text)
	}
	*b = Bytes(n)
	return nil
}
