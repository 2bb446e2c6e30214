package mapping

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/containerd/errdefs"
)

// edits collects why fields cannot be carried.
type edits struct{ refused []string }

func (e *edits) refuse(field, format string, args ...any) {
	e.refused = append(e.refused, field+": "+fmt.Sprintf(format, args...))
}

func (e *edits) err() error {
	if len(e.refused) == 0 {
		return nil
	}
	return invalid("cannot carry a change to CRI: %s", strings.Join(e.refused, "; "))
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// take carries a field with write where it differs, and notes in before that
// it was dealt with.
func take[T any](e *edits, field string, before *T, after T, write func(T) error) {
	if same(*before, after) {
		return
	}
	*before = after
	err := plain(reflect.ValueOf(after))
	if err == nil {
		err = write(after)
	}
	if err != nil {
		e.refuse(field, "%v", err)
	}
}

// same tells whether two values mean the same: an empty list or map is none.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	switch x.Kind() {
	case reflect.Slice, reflect.Map:
		if x.Len() == 0 && y.Len() == 0 {
			return true
		}
	}
	return reflect.DeepEqual(a, b)
}

// plain reports text that neither a message nor a process can hold.
func plain(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		switch text := v.String(); {
		case !utf8.ValidString(text):
			return fmt.Errorf("%q is not UTF-8", text)
		case strings.ContainsRune(text, 0):
			return fmt.Errorf("%q contains a NUL", text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return plain(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := plain(v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := plain(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if err := errors.Join(plain(entries.Key()), plain(entries.Value())); err != nil {
				return err
			}
		}
	}
	return nil
}

// differences names the fields in which two structs of one type differ, those
// of embedded structs among them.
func differences(before, after any) (names []string) {
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		field, x, y := b.Type().Field(i), b.Field(i).Interface(), a.Field(i).Interface()
		switch {
		case field.Anonymous:
			names = append(names, differences(x, y)...)
		case !same(x, y):
			names = append(names, field.Name)
		}
	}
	return names
}

// refuseRest refuses the fields that nobody took.
func (e *edits) refuseRest(prefix string, before, after any) {
	for _, name := range differences(before, after) {
		why := reasons[prefix+name]
		if why == "" {
			why = "CRI has nothing like it"
		}
		e.refuse(prefix+name, "%s", why)
	}
}

// pair finds for each element of after which one of before it is: the index,
// or -1 for a new one. The relations are tried in turn, for all elements, and
// nothing of before is used twice. Lists that hardly differ cost little.
func pair[T any](before, after []T, relations ...func(b, a T) bool) []int {
	result, used := make([]int, len(after)), make([]bool, len(before))
	for i := range result {
		result[i] = -1
	}
	for _, related := range relations {
		next := 0
		for i, a := range after {
			for n := 0; n < len(before) && result[i] < 0; n++ {
				if at := (next + n) % len(before); !used[at] && related(before[at], a) {
					result[i], used[at], next = at, true, at+1
				}
			}
		}
	}
	return result
}
