package apiguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// read decodes a section as the daemon does, over the defaults.
func read(t testing.TB, section string) (Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  apiguard:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	decoded := Config{Default: Deny, Audit: Audit{OnAuditError: Refuse}}
	policy := plugins.DefaultPolicy()
	err = c.Plugin("apiguard", &policy, &decoded)
	return decoded, err
}

func newGuard(t testing.TB, section string) *Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	g, err := New(Params{Config: c, Log: zap.NewNop()})
	require.NoError(t, err)
	require.NoError(t, g.PreStartHook())
	t.Cleanup(func() { assert.NoError(t, g.PreStopHook()) })
	return g
}

func routes(handler types.Handler) (specs []*types.HandlerSpec) {
	if handler == nil {
		handler = func(context.Context, http.ResponseWriter, *http.Request) error { return nil }
	}
	for _, r := range []string{
		"GET /_ping", "GET /containers/json", "GET /containers/{name:.*}/json", "POST /containers/create", "POST /containers/{name:.*}/start",
		"DELETE /containers/{name:.*}", "POST /build", "GET /images/{name:.*}/json", "POST /exec/{name}/start",
	} {
		method, path, _ := strings.Cut(r, " ")
		specs = append(specs, types.NewHandlerSpec(method, path, handler))
	}
	return specs
}

// call calls the handler of a route as a client.
func call(specs []*types.HandlerSpec, route string, who *tls.ConnectionState, user string) error {
	for _, s := range specs {
		if s.Method+" "+s.Path == route {
			r := httptest.NewRequest(s.Method, "/v1.44"+s.Path+"?secret=hunter2", strings.NewReader("a secret body"))
			r.Header.Set("X-Registry-Auth", "hunter2")
			r.TLS = who
			ctx := plugins.WithRequest(context.Background(), plugins.Request{RemoteUser: user})
			return s.HandlerFunc(ctx, httptest.NewRecorder(), r)
		}
	}
	return errdefs.ErrNotFound
}

func certificate(change func(*x509.Certificate)) *tls.ConnectionState {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "alice", Organization: []string{"ops", "dev"}, OrganizationalUnit: []string{"night"}}}
	if change != nil {
		change(c)
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
}

const rules = `
    rules:
      - {do: allow, methods: [GET], paths: [/_ping, "/containers/*", "/images/*"]}
      - {name: root, do: allow, who: {uid: "0"}}
      - {name: nobody builds, do: deny, paths: [/build]}
      - {do: allow, who: {o: ops}, methods: [POST], paths: ["/containers/{name}/start", /build]}
      - {do: allow, who: {cn: "ali?e", ou: "!day"}, methods: [DELETE]}
      - {do: allow, who: {san: "*.example.org|10.0.0.1|spiffe://*"}, methods: [POST], paths: [/containers/create]}
`

func TestTheFirstRuleForRouteAndClientDecides(t *testing.T) {
	specs := newGuard(t, rules).UpdateHandler(t.Context(), routes(nil))
	bob := certificate(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "bob"} })
	for _, c := range []struct {
		route   string
		who     *tls.ConnectionState
		user    string
		refusal string // empty: none
	}{
		{"GET /containers/{name:.*}/json", bob, "", ""},
		{"GET /images/{name:.*}/json", nil, "", ""},
		{"POST /containers/create", nil, "uid:0", ""},
		{"POST /build", nil, "uid:0", ""},
		{"POST /build", certificate(nil), "", `alice may not POST /build: rule "nobody builds"`},
		{"POST /containers/create", nil, "uid:1000", `uid 1000 may not POST /containers/create: no rule allows it`},
		{"POST /containers/create", nil, "", `a client without a name may not POST`},
		{"POST /containers/{name:.*}/start", certificate(nil), "", ""},
		{"POST /containers/{name:.*}/start", bob, "", `bob may not POST /containers/{name:.*}/start: no rule allows it`},
		{"DELETE /containers/{name:.*}", certificate(nil), "", ""},
		{"DELETE /containers/{name:.*}", certificate(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"night", "day"} }), "", "alice may not DELETE"},
		{"DELETE /containers/{name:.*}", certificate(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil }), "", ""},
		{"POST /containers/create", certificate(func(c *x509.Certificate) { c.DNSNames = []string{"ci.example.org"} }), "", ""},
		{"POST /containers/create", certificate(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} }), "", ""},
		{"POST /containers/create", certificate(func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }), "", ""},
		{"POST /containers/create", certificate(func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} }), "", "alice may not"},
		{"POST /exec/{name}/start", certificate(nil), "", "alice may not POST /exec/{name}/start"},
	} {
		err := call(specs, c.route, c.who, c.user)
		if c.refusal == "" {
			assert.NoError(t, err, "%+v", c)
			continue
		}
		assert.True(t, errdefs.IsPermissionDenied(err), "%+v", c)
		assert.ErrorContains(t, err, c.refusal)
	}
}

func TestACertificateCannotPassForAUserOfTheSocket(t *testing.T) {
	specs := newGuard(t, rules).UpdateHandler(t.Context(), routes(nil))
	forged := certificate(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "uid:0"} })
	assert.True(t, errdefs.IsPermissionDenied(call(specs, "POST /containers/create", forged, "uid:0")))
	unverified := certificate(nil)
	unverified.VerifiedChains = nil
	assert.True(t, errdefs.IsPermissionDenied(call(specs, "POST /containers/{name:.*}/start", unverified, "")))
}

func TestTheDefaultDecidesWhereNoRuleDoes(t *testing.T) {
	open := newGuard(t, "    default: allow\n    rules: [{do: deny, paths: [\"/exec/*\"]}]\n").UpdateHandler(t.Context(), routes(nil))
	assert.NoError(t, call(open, "POST /build", nil, ""))
	assert.ErrorContains(t, call(open, "POST /exec/{name}/start", nil, "uid:0"), `rule "rules[0]"`)
	shut := newGuard(t, "    {}\n").UpdateHandler(t.Context(), routes(nil))
	assert.True(t, errdefs.IsPermissionDenied(call(shut, "GET /_ping", nil, "uid:0")))
}

func TestRoutesAreRemoved(t *testing.T) {
	specs := newGuard(t, "    default: allow\n    remove: [{paths: [/build, \"/exec/*\"]}, {methods: [DELETE]}]\n").UpdateHandler(t.Context(), routes(nil))
	assert.Len(t, specs, 6)
	for _, route := range []string{"POST /build", "POST /exec/{name}/start", "DELETE /containers/{name:.*}"} {
		assert.True(t, errdefs.IsNotFound(call(specs, route, nil, "")), route)
	}
}

func TestARouteMayBeWrittenWithoutWhatItsVariablesMatch(t *testing.T) {
	for path, want := range map[string]string{
		"/containers/{name:.*}/json":    "/containers/{name}/json",
		"/a/{x:[0-9]{2,3}}/{y}/{z:a:b}": "/a/{x}/{y}/{z}",
		"/plain:with/colon":             "/plain:with/colon",
	} {
		assert.Equal(t, want, short(path))
	}
	for spelling, refused := range map[string]bool{"/containers/{name:.*}/json": true, "/containers/{name}/json": true, "!/containers/{name}/json": false, "!/containers/{name:.*}/json": false} {
		specs := newGuard(t, "    default: allow\n    rules: [{do: deny, methods: [GET], paths: [\""+spelling+"\"]}]\n").UpdateHandler(t.Context(), routes(nil))
		assert.Equal(t, refused, call(specs, "GET /containers/{name:.*}/json", nil, "") != nil, spelling)
	}
}

func TestWhatShutsNothingFailsTheStart(t *testing.T) {
	for section, want := range map[string]string{
		"    rules: [{name: typo, do: deny, paths: [\"/containers/{id}/json\"]}]\n": `rule "typo", which denies, matches no route`,
		"    remove: [{paths: [/buidl]}]\n":                                         "remove[0] matches no route",
	} {
		g := newGuard(t, section)
		assert.PanicsWithError(t, want+": see the routes' spelling in the README", func() { g.UpdateHandler(t.Context(), routes(nil)) })
	}
	g := newGuard(t, "    rules: [{do: allow, paths: [/not/of/this/version]}]\n")
	assert.NotPanics(t, func() { g.UpdateHandler(t.Context(), routes(nil)) })
}

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for section, want := range map[string]string{
		`default: maybe`:                        `"maybe": use "allow" or "deny"`,
		`rules: [{paths: [/x]}]`:                `rules[0]: the key do is missing`,
		`rules: [{do: deny, methods: [get]}]`:   `method "get": write a method of HTTP in capitals`,
		`rules: [{do: deny, paths: [build]}]`:   `path "build": begins with / or *`,
		`rules: [{do: deny, paths: [""]}]`:      `the pattern is empty`,
		`rules: [{do: deny, who: {name: x}}]`:   `unknown key "name"`,
		`remove: [{do: deny}]`:                  `unknown key "do"`,
		`audit: {file: log}`:                    `file "log": must be an absolute path`,
		`audit: {max-size: 1m}`:                 `max-size without a file`,
		`audit: {file: /f, max-size: lots}`:     `"lots" is not a size`,
		`audit: {file: /f, onAuditError: fail}`: `"fail": use "refuse" or "continue"`,
	} {
		_, err := read(t, "    "+section+"\n")
		if assert.ErrorContains(t, err, want, section) {
			assert.Contains(t, err.Error(), "config.yaml:3: plugins.apiguard")
		}
	}
}

// benchmark has a client for whom only the last rule is.
func benchmark(b *testing.B, section string) {
	specs := newGuard(b, rules+section).UpdateHandler(b.Context(), routes(nil))
	who := certificate(func(c *x509.Certificate) {
		c.Subject.Organization, c.DNSNames = []string{"dev"}, []string{"ci.example.org"}
	})
	var spec *types.HandlerSpec
	for _, s := range specs {
		if s.Path == "/containers/create" {
			spec = s
		}
	}
	r := httptest.NewRequest(spec.Method, "/v1.44/containers/create", nil)
	r.TLS = who
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		if err := spec.HandlerFunc(b.Context(), w, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecide(b *testing.B) { benchmark(b, "") }

func BenchmarkDecideAndAudit(b *testing.B) {
	benchmark(b, "    audit: {file: "+filepath.Join(b.TempDir(), "audit")+"}\n")
}
