package daemon

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHealthIsToldWithItsReasons(t *testing.T) {
	for answer, want := range map[string]struct {
		code, status int
		out          string
	}{
		`{"status":"ready"}`: {200, 0, "ready\n"},
		`{"status":"degraded","reasons":[{"plugin":"limits","reason":"no disk"}]}`: {200, 0, "degraded\n  plugin \"limits\": no disk\n"},
		`{"status":"failed","reasons":[{"check":"containerd","reason":"gone"}]}`:   {503, exitFailure, "failed\n  containerd: gone\n"},
		`{"message":"page not found"}`:                                             {404, exitFailure, ""},
		`nothing`:                                                                  {200, exitFailure, ""},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /pouchfx/health", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(want.code)
			io.WriteString(w, answer)
		})
		var out, errs bytes.Buffer
		assert.Equal(t, want.status, run(targets, []string{"health", "-H", answering(t, mux)}, &out, &errs), answer)
		assert.Equal(t, want.out, out.String())
		assert.Equal(t, want.out == "", errs.Len() > 0, "what is told on standard output is not told again: %s", &errs)
	}
}

func TestHealthOfADaemonThatIsNotThereIsAFailure(t *testing.T) {
	var out, errs bytes.Buffer
	assert.Equal(t, exitFailure, run(targets, []string{"health", "-H", "unix:///nowhere/s"}, &out, &errs))
	assert.Contains(t, errs.String(), "cannot ask the daemon at unix:///nowhere/s")
}
