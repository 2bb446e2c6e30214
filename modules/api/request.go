package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/jsonbody"
)

// maxBody bounds the bodies that are decoded: all but image archives.
const maxBody = 4 << 20

// readJSON decodes the body into v as dockerd does: an empty body leaves v
// alone, unknown keys are ignored, and what follows the value is an error.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	if err := checkJSON(r); err != nil {
		return err
	}
	err := jsonbody.Decode(body(w, r), v)
	if err == io.EOF {
		return nil // chunked, and empty
	}
	return err
}

// body is the body of a request, at most maxBody of it. Errors of reading it
// are the client's.
func body(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	return clientBody{http.MaxBytesReader(w, r.Body, maxBody)}
}

type clientBody struct{ io.ReadCloser }

func (b clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch limit := (*http.MaxBytesError)(nil); {
	case err == nil, err == io.EOF:
	case errors.As(err, &limit):
		err = errLargeBody
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSlowBody
	default:
		err = badRequest("cannot read the request's body: %v", err)
	}
	return n, err
}

// Close has nothing to say: what the client did not send is not missed.
func (b clientBody) Close() error {
	_ = b.ReadCloser.Close()
	return nil
}

// checkJSON refuses a body that does not say it is JSON: a form on a web page
// cannot, which is why dockerd insists.
func checkJSON(r *http.Request) error {
	header := r.Header.Get("Content-Type")
	if header == "" && r.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		return badRequest("malformed Content-Type header (%s): %v", header, err)
	}
	if kind != "application/json" {
		return badRequest("unsupported Content-Type header (%s): must be 'application/json'", header)
	}
	return nil
}

// What is wrong with a body other than its JSON.
var (
	errSlowBody  = errors.New("the request's body did not come in time")
	errLargeBody = fmt.Errorf("the request's body is larger than %d MiB", maxBody>>20)
)

// params reads the query parameters of a request. The first bad value makes
// err; a handler reads all it needs and looks at err once.
type params struct {
	values url.Values
	err    error
}

func query(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.err = badRequest("invalid query: %v", err)
	}
	return p
}

func (p *params) fail(key string, err error) {
	if p.err == nil {
		p.err = badRequest("invalid value %q for parameter %q: %v", p.values.Get(key), key, err)
	}
}

func (p *params) text(key string) string { return p.values.Get(key) }

// flag is false when absent, empty, 0, no, false or none.
func (p *params) flag(key string) bool {
	switch strings.ToLower(strings.TrimSpace(p.values.Get(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// number returns an integer, and otherwise when it is absent.
func (p *params) number(key string, otherwise int) int {
	text := p.values.Get(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		p.fail(key, errors.New("use a whole number"))
	}
	return n
}

// optional returns an integer, and nil when it is absent.
func (p *params) optional(key string) *int {
	if p.values.Get(key) == "" {
		return nil
	}
	n := p.number(key, 0)
	return &n
}

// size returns a height or width of a terminal.
func (p *params) size(key string) uint32 {
	n, err := strconv.ParseUint(p.values.Get(key), 10, 32)
	if err != nil {
		p.fail(key, errors.New("use a number of characters"))
	}
	return uint32(n)
}

func (p *params) time(key string) time.Time {
	t, err := filters.ParseTime(p.values.Get(key), time.Now())
	if err != nil {
		p.fail(key, err)
	}
	return t
}

func (p *params) filters() filters.Args {
	args, err := filters.Parse(p.values.Get("filters"))
	if err != nil && p.err == nil {
		p.err = err
	}
	return args
}
