package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// writeTimeout bounds how long a client may take to read an answer that is
// not a stream.
const writeTimeout = time.Minute

// writeJSON answers with a value. It returns nil, for handlers to return: a
// client that has gone cannot be told.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return nil
}

// list is a slice whose JSON is [] rather than null when it is empty.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// stream writes an answer that grows: each value at once, with a line end.
type stream struct {
	w       http.ResponseWriter
	lineEnd string
	begun   bool
}

// begin sends the headers.
func (s *stream) begin() error {
	s.begun = true
	if s.w.Header().Get("Content-Type") == "" {
		s.w.Header().Set("Content-Type", "application/json")
	}
	s.w.WriteHeader(http.StatusOK)
	return http.NewResponseController(s.w).Flush()
}

// send writes one value.
func (s *stream) send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/json")
	}
	if _, err := s.w.Write(append(text, s.lineEnd...)); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}
