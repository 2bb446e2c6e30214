// Package patch tells how a value that a plugin changed differs from what it
// was: as an RFC 6902 patch, for people and programs that want to know who
// changed what, and as the list of the fields that were written, by which two
// plugins that write the same field are found.
package patch

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/wI2L/jsondiff"
)

// Difference is how two values differ; the zero value says that they do not.
type Difference struct {
	// Patch is an RFC 6902 patch from the JSON of the one to that of the
	// other. A "test" with the old value precedes what replaces or removes it.
	Patch json.RawMessage
	// Fields are JSON pointers of what was written, sorted. They go down to
	// the entries of maps and to the variables of Env.
	Fields []string
	// Omitted says why there is no patch although there are fields.
	Omitted string
}

// Values compares two values of one type.
func Values[T any](before, after T) (Difference, error) {
	if reflect.DeepEqual(before, after) {
		return Difference{}, nil
	}
	a, err := json.Marshal(before)
	if err != nil {
		return Difference{}, err
	}
	b, err := json.Marshal(after)
	if err != nil {
		return Difference{}, err
	}
	return JSON(a, b)
}

// JSON compares two documents.
func JSON(before, after []byte) (Difference, error) {
	if bytes.Equal(before, after) {
		return Difference{}, nil
	}
	operations, err := jsondiff.CompareJSON(before, after, jsondiff.Invertible())
	if err != nil || len(operations) == 0 {
		return Difference{}, err
	}
	var d Difference
	for _, o := range operations {
		if o.Type != jsondiff.OperationTest {
			d.Fields = append(d.Fields, o.Path)
		}
	}
	d.Patch, err = json.Marshal(operations)
	return d, err
}
