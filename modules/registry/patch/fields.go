package patch

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// field is a field of a struct's JSON; an embedded struct has none of its own.
type field struct {
	index     int
	name      string
	omitEmpty bool
	omitZero  bool
	embedded  []field
}

// omits reports whether encoding/json leaves a value out.
func (f *field) omits(v reflect.Value) bool {
	if f.omitEmpty {
		switch v.Kind() {
		case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
			return v.Len() == 0
		case reflect.Struct:
		default:
			return v.IsZero()
		}
	}
	if f.omitZero {
		if z, ok := v.Interface().(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
			return z.IsZero()
		}
		return v.IsZero()
	}
	return false
}

var (
	knownFields sync.Map // reflect.Type → []field, nil when encoding/json has to do it
	jsonType    = reflect.TypeFor[json.Marshaler]()
	textType    = reflect.TypeFor[encoding.TextMarshaler]()
)

// fieldsOf returns the fields of the JSON of a struct type, and nil for types
// that this package leaves to encoding/json: those that write their own JSON,
// and those with rare tags.
func fieldsOf(t reflect.Type) []field {
	if known, ok := knownFields.Load(t); ok {
		return known.([]field)
	}
	names := map[string]bool{}
	fields, ok := collect(t, names)
	if !ok || len(fields) == 0 {
		fields = nil
	}
	knownFields.Store(t, fields)
	return fields
}

func collect(t reflect.Type, names map[string]bool) (fields []field, ok bool) {
	if marshals(t) {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && tag != "-" && !marshals(f.Type) {
			inner, ok := collect(f.Type, names)
			if !ok {
				return nil, false
			}
			if len(inner) > 0 {
				fields = append(fields, field{index: i, embedded: inner})
			}
			continue
		}
		switch {
		case tag == "-":
			continue
		case !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && f.Type.Kind() != reflect.Struct, !f.IsExported(), slices.Contains(strings.Split(options, ","), "string"):
			return nil, false
		}
		if name == "" {
			name = f.Name
		}
		if names[name] {
			return nil, false // encoding/json has rules for that
		}
		names[name] = true
		list := strings.Split(options, ",")
		fields = append(fields, field{index: i, name: name, omitEmpty: slices.Contains(list, "omitempty"), omitZero: slices.Contains(list, "omitzero")})
	}
	return fields, true
}

// marshals reports whether values of a type write their own JSON.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.Implements(jsonType) || t.Implements(textType) || p.Implements(jsonType) || p.Implements(textType)
}

// equal reports whether two values of one type are deeply equal, without
// reflect.DeepEqual for what hooks get most.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return a.Uint() == b.Uint()
	case reflect.Slice, reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.Len() == 0 {
			return true
		}
	}
	if a.CanAddr() && b.CanAddr() {
		switch x := a.Addr().Interface().(type) {
		case *map[string]string:
			return maps.Equal(*x, *b.Addr().Interface().(*map[string]string))
		case *[]string:
			return slices.Equal(*x, *b.Addr().Interface().(*[]string))
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
