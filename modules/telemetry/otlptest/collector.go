// Package otlptest stands in for a collector of OpenTelemetry in tests.
package otlptest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans over HTTP, as protobuf.
type Collector struct {
	// URL is where it listens.
	URL string

	mu       sync.Mutex
	spans    []Span
	resource map[string]string
}

// Span is what tests look at.
type Span struct {
	Name                  string
	Trace, ID, Parent     string // as in traceparent; no parent is empty
	Server                bool   // of a request
	Failed                bool
	Message               string // why it failed
	Attributes            map[string]string
	Events                []string
	BeginNano, FinishNano uint64
}

// Start starts a collector, which stops with the test.
func Start(t testing.TB) *Collector {
	c := &Collector{resource: map[string]string{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Spans returns what came so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Named returns the first span of a name; nil when none came.
func (c *Collector) Named(name string) *Span {
	for _, s := range c.Spans() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// Resource returns what the spans say of who sends them.
func (c *Collector) Resource(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resource[key]
}

// ServeHTTP takes spans at POST /v1/traces.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost {
		http.Error(w, fmt.Sprint("not spans: ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.ResourceSpans {
		for key, value := range attributes(of.Resource.GetAttributes()) {
			c.resource[key] = value
		}
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span(s))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func read(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Encoding") != "gzip" {
		return body, err
	}
	plain, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func span(s *trace.Span) Span {
	out := Span{
		Name: s.Name, Trace: fmt.Sprintf("%x", s.TraceId), ID: fmt.Sprintf("%x", s.SpanId), Parent: fmt.Sprintf("%x", s.ParentSpanId),
		Server: s.Kind == trace.Span_SPAN_KIND_SERVER, Failed: s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR, Message: s.Status.GetMessage(),
		Attributes: attributes(s.Attributes), BeginNano: s.StartTimeUnixNano, FinishNano: s.EndTimeUnixNano,
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, e.Name)
	}
	return out
}

func attributes(list []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range list {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			all[a.Key] = fmt.Sprint(v.BoolValue)
		}
	}
	return all
}
