package daemon

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// answering is a daemon that answers as mux does, and returns its address.
func answering(t *testing.T, mux *http.ServeMux) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "px")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "unix://" + filepath.Join(dir, "s")
}

var whatLimitsDid = &explain.Explanation{Create: []registry.Change{{
	Plugin: "limits", Hook: "PreCreate", At: time.Unix(0, 0).UTC(), Duration: time.Millisecond,
	Patch: json.RawMessage(`[{"op":"test","path":"/HostConfig/Memory","value":0},{"op":"replace","path":"/HostConfig/Memory","value":1024}]`),
}}}

const limitsDid = "create 1970-01-01T00:00:00Z\n  limits PreCreate 1ms\n    /HostConfig/Memory: 0 → 1024\n"

func TestAContainerIsExplained(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pouchfx/explain/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "a/web" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"No such container"}`)
			return
		}
		assert.NoError(t, json.NewEncoder(w).Encode(whatLimitsDid))
	})
	host := answering(t, mux)
	var out, errs bytes.Buffer
	require.Zero(t, run(targets, []string{"explain", "-H", host, "a/web"}, &out, &errs), errs.String())
	assert.Equal(t, limitsDid, out.String(), "in no colour: it is no terminal")

	out.Reset()
	require.Zero(t, run(targets, []string{"explain", "-H", host, "--json", "a/web"}, &out, &errs))
	var e explain.Explanation
	require.NoError(t, json.Unmarshal(out.Bytes(), &e))
	assert.Equal(t, "limits", e.Create[0].Plugin)

	assert.Equal(t, exitFailure, run(targets, []string{"explain", "-H", host, "nosuch"}, &out, &errs))
	assert.Equal(t, "demo-daemon: No such container\n", errs.String())
}

func TestAFileIsTried(t *testing.T) {
	mux := http.NewServeMux()
	failure := ""
	mux.HandleFunc("POST /containers/create", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, `{"Image":"box"}`, string(body))
		assert.Equal(t, "1", r.FormValue("dryRun"))
		assert.Equal(t, "web", r.FormValue("name"))
		assert.NoError(t, json.NewEncoder(w).Encode(explain.DryRun{Explain: whatLimitsDid, Warnings: []string{"careful"}, Error: failure}))
	})
	args := []string{"explain", "-H", answering(t, mux), "--name", "web", "-f"}
	file := filepath.Join(t.TempDir(), "create.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"Image":"box"}`), 0o600))
	var out, errs bytes.Buffer
	require.Zero(t, run(targets, append(args, file), &out, &errs))
	assert.Equal(t, limitsDid, out.String())
	assert.Equal(t, "demo-daemon: warning: careful\n", errs.String())

	failure = "no such image"
	errs.Reset()
	assert.Equal(t, exitFailure, run(targets, append(args, file), &out, &errs))
	assert.Contains(t, errs.String(), "demo-daemon: it would not be made: no such image\n")

	require.NoError(t, os.WriteFile(file, []byte(`[]`), 0o600))
	errs.Reset()
	assert.Equal(t, exitFailure, run(targets, append(args, file), &out, &errs))
	assert.Contains(t, errs.String(), "not the body of a create")
	assert.Equal(t, exitUsage, run(targets, append(args, file, "web"), &out, &errs), "either of the two")
	assert.Equal(t, exitUsage, run(targets, []string{"explain"}, &out, &errs))
}
