package apiguard

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func lines(t *testing.T, file string) (records []record) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var r record
		require.NoError(t, json.Unmarshal(s.Bytes(), &r), s.Text())
		records = append(records, r)
	}
	return records
}

func TestRequestsAndAnswersAreWrittenDown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.json")
	g := newGuard(t, rules+"    audit: {file: "+file+"}\n")
	conflict := errdefs.ErrAlreadyExists.WithMessage("there is one")
	specs := g.UpdateHandler(t.Context(), routes(func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
		switch r.Method {
		case "DELETE":
			return conflict
		case "POST":
			w.WriteHeader(http.StatusCreated)
		}
		if strings.Contains(r.URL.Path, "images") {
			panic(http.ErrAbortHandler)
		}
		return nil
	}))
	require.NoError(t, call(specs, "POST /containers/{name:.*}/start", certificate(nil), ""))
	require.NoError(t, call(specs, "GET /_ping", nil, "uid:7"))
	require.ErrorIs(t, call(specs, "DELETE /containers/{name:.*}", certificate(nil), ""), conflict)
	require.Error(t, call(specs, "POST /build", certificate(nil), ""))
	require.Panics(t, func() { _ = call(specs, "GET /images/{name:.*}/json", nil, "") })

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "secret", "neither query nor body")
	assert.NotContains(t, string(text), "hunter2")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	all := lines(t, file)
	require.Len(t, all, 10)
	var statuses []int
	for i := 0; i < len(all); i += 2 {
		assert.Equal(t, [2]string{asked, answered}, [2]string{all[i].Event, all[i+1].Event})
		assert.Equal(t, all[i].ID, all[i+1].ID)
		assert.Zero(t, all[i].Status)
		assert.WithinDuration(t, time.Now(), all[i].Time, time.Minute)
		statuses = append(statuses, all[i+1].Status)
	}
	assert.Equal(t, []int{201, 200, 409, 403, 500}, statuses)
	first, ping, build := all[1], all[2], all[6]
	assert.Equal(t, &client{CN: []string{"alice"}, O: []string{"ops", "dev"}, OU: []string{"night"}}, first.Client)
	assert.Equal(t, []any{"POST", "/v1.44/containers/{name:.*}/start", "/containers/{name:.*}/start", Allow, "rules[3]"},
		[]any{first.Method, first.Path, first.Route, first.Decision, first.Rule})
	assert.Equal(t, []string{"7"}, ping.Client.UID)
	assert.Equal(t, []any{Deny, "nobody builds"}, []any{build.Decision, build.Rule})
}

func TestAnswersKeepWhatHandlersLookFor(t *testing.T) {
	g := newGuard(t, "    default: allow\n    audit: {file: "+filepath.Join(t.TempDir(), "a")+"}\n")
	specs := g.UpdateHandler(t.Context(), []*types.HandlerSpec{types.NewHandlerSpec("GET", "/x", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
		assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
		w.(http.Flusher).Flush()
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			_ = conn.Close()
		}
		return nil
	})})
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		assert.NoError(t, specs[0].HandlerFunc(r.Context(), w, r))
	}))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err == nil {
		_ = res.Body.Close()
	}
	<-served
	assert.Equal(t, http.StatusOK, lines(t, g.audit.config.File)[1].Status, "it was begun before the connection was taken")
	assert.NotEmpty(t, lines(t, g.audit.config.File)[0].Remote)
}

func TestAFileThatWasMovedAwayIsMadeAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.json")
	g := newGuard(t, "    default: allow\n    audit: {file: "+file+"}\n")
	specs := g.UpdateHandler(t.Context(), routes(nil))
	require.NoError(t, call(specs, "GET /_ping", nil, ""))
	require.NoError(t, os.Rename(file, file+".old"))
	g.audit.checked = time.Time{} // a second later
	require.NoError(t, call(specs, "GET /_ping", nil, ""))
	assert.Len(t, lines(t, file), 2)
	assert.Len(t, lines(t, file+".old"), 2)
}

func TestAFileIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.json")
	g := newGuard(t, "    default: allow\n    audit: {file: "+file+", max-size: 1k}\n")
	specs := g.UpdateHandler(t.Context(), routes(nil))
	for range 20 {
		require.NoError(t, call(specs, "GET /_ping", nil, ""))
		for _, name := range []string{file, file + ".1"} {
			if info, err := os.Stat(name); err == nil {
				assert.LessOrEqual(t, info.Size(), int64(1024))
			}
		}
	}
	old, now := lines(t, file+".1"), lines(t, file)
	assert.EqualValues(t, 20, now[len(now)-1].ID)
	assert.Equal(t, now[0].ID, old[len(old)-1].ID+map[bool]uint64{true: 0, false: 1}[now[0].Event == answered], "nothing is missing between them")
}

func TestARequestThatCannotBeWrittenDown(t *testing.T) {
	for choice, refused := range map[string]bool{"refuse": true, "continue": false} {
		dir := filepath.Join(t.TempDir(), "sub")
		require.NoError(t, os.Mkdir(dir, 0o700))
		g := newGuard(t, "    default: allow\n    audit: {file: "+dir+"/audit.json, onAuditError: "+choice+"}\n")
		core, logs := observer.New(zap.WarnLevel)
		g.audit.log = zap.New(core)
		called := 0
		specs := g.UpdateHandler(t.Context(), routes(func(context.Context, http.ResponseWriter, *http.Request) error { called++; return nil }))
		require.NoError(t, os.Rename(dir, dir+".gone"))
		g.audit.checked = time.Time{}
		for range 3 {
			err := call(specs, "GET /_ping", nil, "")
			assert.Equal(t, refused, errdefs.IsUnavailable(err), "%v", err)
		}
		assert.Equal(t, map[bool]int{true: 0, false: 3}[refused], called)
		assert.Equal(t, 1, logs.FilterMessage("cannot write to the audit file").Len(), "once, not at every request")

		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, call(specs, "GET /_ping", nil, ""))
		assert.Equal(t, 1, logs.FilterMessageSnippet("can be written to again").Len())
		assert.Len(t, lines(t, dir+"/audit.json"), 2)
	}
}

func TestALineWithoutAnEndSpoilsNoOther(t *testing.T) {
	g := newGuard(t, "    default: allow\n    audit: {file: "+filepath.Join(t.TempDir(), "a")+"}\n")
	_, err := g.audit.file.WriteString(`{"time":"2026`)
	require.NoError(t, err)
	g.audit.torn = true
	require.NoError(t, call(g.UpdateHandler(t.Context(), routes(nil)), "GET /_ping", nil, ""))
	text, err := os.ReadFile(g.audit.config.File)
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(text), "\n")
	assert.Equal(t, `{"time":"2026`, first)
	assert.Equal(t, 2, strings.Count(rest, "\n"))
}

func TestAFileThatCannotBeUsedFailsTheStart(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/etc/passwd", dir+"/link"))
	require.NoError(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	for _, file := range []string{dir + "/link", dir + "/pipe", dir, dir + "/no/such"} {
		g, err := New(Params{Config: Config{Audit: Audit{File: file}}, Log: zap.NewNop()})
		require.NoError(t, err)
		assert.ErrorContains(t, g.PreStartHook(), "audit file", file)
		assert.NoError(t, g.PreStopHook())
	}
}

func TestPathsAreShortened(t *testing.T) {
	long := shorten("/" + strings.Repeat("ä", 5000))
	assert.Less(t, len(long), 1100)
	assert.True(t, strings.HasSuffix(long, "ä…"))
}

var _ interface {
	plugins.APIPlugin
	plugins.DaemonPlugin
} = (*Plugin)(nil)
