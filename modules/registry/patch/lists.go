package patch

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const (
	// maxFields is how many fields are told apart; more are named by the
	// first part of their path.
	maxFields = 512
	// maxElement is how much of an inserted element names it, in bytes.
	maxElement = 128
)

// ordered are the lists that make one whole: a command with two words put into
// it by two plugins is nobody's.
var ordered = []string{"/Cmd", "/Entrypoint", "/Shell", "/Healthcheck/Test"}

func isOrdered(path string) bool {
	return slices.ContainsFunc(ordered, func(o string) bool { return strings.HasSuffix(path, o) })
}

// lists notes what was written of a list: the variables that differ of Env,
// the elements that were put into another, or the list.
func (w *walk) lists(a, b []any, path string, both bool) {
	kept := 0
	for kept < len(a) && kept < len(b) && same(a[kept], b[kept]) {
		kept++
	}
	if both && kept == len(a) && kept == len(b) {
		return
	}
	w.elements += len(a) + len(b)
	w.moved = w.moved || kept < len(a)
	if strings.HasSuffix(path, "/Env") {
		if keys := variables(a, b); len(keys) > 0 {
			for _, k := range keys {
				w.fields = append(w.fields, path+"/"+escape(k))
			}
			return
		}
	} else if !isOrdered(path) {
		if inserted, ok := insertions(a[kept:], b[kept:]); ok && len(inserted) > 0 {
			for _, e := range inserted {
				w.fields = append(w.fields, path+"/+/"+escape(name(e)))
			}
			return
		}
	}
	w.fields = append(w.fields, path)
}

// variables returns the names that have other values in b than in a. A name
// that is there twice has the last value.
func variables(a, b []any) (changed []string) {
	values := func(list []any) map[string]string {
		all := make(map[string]string, len(list))
		for _, e := range list {
			s, _ := e.(string)
			key, _, _ := strings.Cut(s, "=")
			all[key] = s
		}
		return all
	}
	x, y := values(a), values(b)
	for key, value := range x {
		if now, ok := y[key]; !ok || now != value {
			changed = append(changed, key)
		}
	}
	for key := range y {
		if _, ok := x[key]; !ok {
			changed = append(changed, key)
		}
	}
	return changed
}

// insertions returns what was put into a to make b; ok is false when something
// of a was taken away, changed or moved.
func insertions(a, b []any) (inserted []any, ok bool) {
	i := 0
	for _, e := range b {
		if i < len(a) && same(a[i], e) {
			i++
		} else {
			inserted = append(inserted, e)
		}
	}
	return inserted, i == len(a)
}

func same(a, b any) bool {
	if s, ok := a.(string); ok {
		return s == b
	}
	return reflect.DeepEqual(a, b)
}

// name identifies an element.
func name(e any) string {
	s, ok := e.(string)
	if !ok {
		text, err := json.Marshal(e)
		if err != nil {
			text = fmt.Append(nil, e)
		}
		s = string(text)
	}
	if len(s) > maxElement {
		return fmt.Sprintf("%s…%x", strings.ToValidUTF8(s[:maxElement], ""), sha256.Sum256([]byte(s)))[:maxElement+16]
	}
	return s
}

// sorted returns the fields, each once.
func (w *walk) sorted() []string {
	if len(w.fields) > maxFields {
		for i, f := range w.fields {
			if first, _, deeper := strings.Cut(strings.TrimPrefix(f, "/"), "/"); deeper {
				w.fields[i] = "/" + first
			}
		}
	}
	slices.Sort(w.fields)
	return slices.Compact(w.fields)
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// escape makes a reference token of a JSON pointer (RFC 6901, section 3).
func escape(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token
	}
	return pointer.Replace(token)
}

// Overlap reports whether two fields are the same, or one is a part of the
// other.
func Overlap(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return strings.HasPrefix(b, a) && (len(a) == len(b) || b[len(a)] == '/')
}
