package registry

import (
	"reflect"
	"sync"
)

// clone returns a deep copy of the plain data that hooks get: nil stays nil
// and empty stays empty. A struct with unexported fields guards its own value
// (netip.Addr, network.Port, time.Time) and is copied by assignment, as
// functions and channels are. Libraries for this either follow such fields,
// which breaks comparable values, or lose them in map keys.
func clone[T any](v T) T {
	var out T
	copyInto(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem())
	return out
}

func copyInto(dst, src reflect.Value) {
	if flat(src.Type()) {
		dst.Set(src)
		return
	}
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem())
		}
	case reflect.Interface:
		if !src.IsNil() {
			dst.Set(copied(src.Elem()))
		}
	case reflect.Struct:
		dst.Set(src)
		for i := range src.NumField() {
			if f := src.Field(i); !flat(f.Type()) {
				dst.Field(i).SetZero()
				copyInto(dst.Field(i), f)
			}
		}
	case reflect.Array:
		for i := range src.Len() {
			copyInto(dst.Index(i), src.Index(i))
		}
	case reflect.Slice:
		copySlice(dst, src)
	case reflect.Map:
		copyMap(dst, src)
	}
}

func copySlice(dst, src reflect.Value) {
	if src.IsNil() {
		return
	}
	dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
	if flat(src.Type().Elem()) {
		reflect.Copy(dst, src)
		return
	}
	for i := range src.Len() {
		copyInto(dst.Index(i), src.Index(i))
	}
}

func copyMap(dst, src reflect.Value) {
	if src.IsNil() {
		return
	}
	dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
	for entries := src.MapRange(); entries.Next(); {
		dst.SetMapIndex(entries.Key(), copied(entries.Value()))
	}
}

func copied(v reflect.Value) reflect.Value {
	if flat(v.Type()) {
		return v
	}
	out := reflect.New(v.Type()).Elem()
	copyInto(out, v)
	return out
}

var flatTypes sync.Map // reflect.Type → bool

// flat reports whether assignment copies a value of the type.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return false
	case reflect.Struct, reflect.Array:
	default:
		return true
	}
	if known, ok := flatTypes.Load(t); ok {
		return known.(bool)
	}
	is := flatFields(t)
	flatTypes.Store(t, is)
	return is
}

func flatFields(t reflect.Type) bool {
	if t.Kind() == reflect.Array {
		return flat(t.Elem())
	}
	is := true
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			return true
		}
		is = is && flat(f.Type)
	}
	return is
}
