// Package patch tells how what a plugin changed differs from what it was: as
// an RFC 6902 patch, for people and programs that want to know who changed
// what, and as the list of the fields that were written, by which two plugins
// that write the same field are found.
//
// It runs at every hook. So the values are walked side by side, what is equal
// is skipped, and the library that makes patches sees only the rest.
package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/wI2L/jsondiff"
)

const (
	// MaxSize is how large, in bytes of JSON, the old and the new state of
	// what changed may be together, and a patch, before it is left out.
	MaxSize = 256 << 10
	// alignable is how many elements two lists may have together for their
	// difference to be the shortest one; that takes time by their square.
	alignable = 256
)

// Difference is how two values differ; the zero value says that they do not.
type Difference struct {
	// Patch is an RFC 6902 patch from the JSON of the one to that of the
	// other. A "test" with the old value precedes what replaces or removes it.
	Patch json.RawMessage
	// Fields are JSON pointers of what was written, sorted. They go down to
	// the entries of maps and to the variables of Env; what is inserted into
	// another list is its path, "+" and the element.
	Fields []string
	// Omitted says why there is no patch although there are fields.
	Omitted string
}

// Values compares two values of one type, whose JSON is an object.
func Values[T any](before, after T) (Difference, error) {
	var w walk
	a, b, changed := w.compare(reflect.ValueOf(&before).Elem(), reflect.ValueOf(&after).Elem(), nil)
	if w.err != nil || !changed {
		return Difference{}, w.err
	}
	return w.difference(a, b)
}

// JSON compares two documents.
func JSON(before, after []byte) (Difference, error) {
	if bytes.Equal(before, after) {
		return Difference{}, nil
	}
	a, err := decode(before)
	if err != nil {
		return Difference{}, fmt.Errorf("what it was is no JSON: %w", err)
	}
	b, err := decode(after)
	if err != nil {
		return Difference{}, fmt.Errorf("what it became is no JSON: %w", err)
	}
	var w walk
	w.size = len(before) + len(after)
	w.documents(a, b, "")
	if len(w.fields) == 0 {
		return Difference{}, nil
	}
	return w.difference(a, b)
}

// difference makes the patch between two trees of JSON.
func (w *walk) difference(a, b any) (Difference, error) {
	d := Difference{Fields: w.sorted()}
	if w.size > MaxSize {
		d.Omitted = tooLarge(w.size)
		return d, nil
	}
	options := []jsondiff.Option{jsondiff.Invertible()}
	if w.moved && w.elements <= alignable {
		options = append(options, jsondiff.LCS())
	}
	operations, err := jsondiff.CompareWithoutMarshal(a, b, options...)
	if err != nil || len(operations) == 0 {
		return Difference{}, err
	}
	if d.Patch, err = json.Marshal(operations); err != nil {
		return Difference{}, err
	}
	if len(d.Patch) > MaxSize {
		d.Patch, d.Omitted = nil, tooLarge(len(d.Patch))
	}
	return d, nil
}

func tooLarge(size int) string {
	return fmt.Sprintf("%d KiB of changes: more than %d are not kept", (size+1023)>>10, MaxSize>>10)
}

// decode reads a document; numbers keep all their digits.
func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more follows after the document")
	}
	return v, nil
}
