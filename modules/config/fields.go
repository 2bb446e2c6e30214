package config

import (
	"reflect"
	"strings"
)

// fields are those of a struct by their keys.
type fields struct {
	keys  []string // in the order of the struct
	byKey map[string]reflect.Value
}

// fieldsOf names the fields as the YAML library does: by the tag yaml, else in
// lower case. The fields of an inlined struct are the struct's own.
func fieldsOf(v reflect.Value) *fields {
	f := &fields{byKey: map[string]reflect.Value{}}
	f.add(v)
	return f
}

func (f *fields) add(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported() || name == "-":
		case options == "inline" && field.Type.Kind() == reflect.Struct:
			f.add(v.Field(i))
		default:
			if name == "" {
				name = strings.ToLower(field.Name)
			}
			f.keys = append(f.keys, name)
			f.byKey[name] = v.Field(i)
		}
	}
}
