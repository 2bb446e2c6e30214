package jsonbody

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// fieldOf names the key that has a value of the wrong type, as the client
// wrote it: the path that encoding/json gives has the names of embedded Go
// structs among the keys.
func fieldOf(v any, e *json.UnmarshalTypeError) string {
	var keys []string
	at := structOf(reflect.TypeOf(v))
	for name := range strings.SplitSeq(e.Field, ".") {
		field, known := fieldByKey(at, name)
		if known {
			at = structOf(field.Type)
		}
		if !known || !field.Anonymous {
			keys = append(keys, name)
		}
	}
	if path := strings.Join(keys, "."); path != "" {
		return path
	}
	return "the body"
}

// structOf returns the struct that a type is made of, through pointers, lists
// and maps; nil when there is none.
func structOf(t reflect.Type) reflect.Type {
	for {
		switch t.Kind() {
		case reflect.Struct:
			return t
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		default:
			return nil
		}
	}
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	if t == nil {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == key || tag == "" && field.Name == key {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

// kindOf says what a field takes in the words of JSON.
func kindOf(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "string"
	}
	switch kind := t.Kind(); kind {
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.String, reflect.Bool:
		return kind.String()
	default:
		return "number (" + kind.String() + ")"
	}
}
