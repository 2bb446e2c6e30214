package plugintest

import (
	"fmt"
	"reflect"
	"runtime"
	"time"
	"weak"
)

// watch returns a function that reports which part of the arguments somebody
// still refers to, when the caller no longer does.
func watch(args []any) func() error {
	watched := map[string]weak.Pointer[byte]{}
	for _, a := range args {
		walk(reflect.ValueOf(a), fmt.Sprintf("%T", a), func(v reflect.Value, path string) {
			if kept(v) {
				watched[path] = weak.Make((*byte)(v.UnsafePointer()))
			}
		})
	}
	return func() (err error) {
		for range 20 { // what a goroutine's stack shows when it is preempted may be out of date
			runtime.GC()
			err = nil
			for path, p := range watched {
				if p.Value() != nil {
					err = breaks("it keeps %s, which is its own only until it returns: copy what is needed later", path)
				}
			}
			if err == nil {
				return nil
			}
			time.Sleep(time.Millisecond)
		}
		return err
	}
}

// kept reports whether a value refers to memory of its own. Small objects
// without pointers share theirs with others.
func kept(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.Elem().Kind() == reflect.Struct && v.Elem().NumField() > 0
	case reflect.Slice:
		k := v.Type().Elem().Kind()
		return v.Len() > 0 && (k == reflect.String || k == reflect.Struct || k == reflect.Pointer || k == reflect.Slice)
	case reflect.Map:
		return true
	}
	return false
}

// mark is what overwrites strings, and what must turn up nowhere else.
const mark = "overwritten-by-plugintest"

// overwrite changes all that the arguments refer to, as whoever uses the memory
// next would.
func overwrite(args []any) {
	for _, a := range args {
		walk(reflect.ValueOf(a), "", func(v reflect.Value, _ string) {
			switch v.Kind() {
			case reflect.Map:
				if v.Type().Elem().Kind() == reflect.String {
					for _, key := range v.MapKeys() {
						v.SetMapIndex(key, reflect.ValueOf(mark).Convert(v.Type().Elem()))
					}
				}
			case reflect.String:
				if v.CanSet() {
					v.SetString(mark)
				}
			}
		})
	}
}

// walk calls visit for every value that is not nil and that plain data reaches,
// inner ones first.
func walk(v reflect.Value, path string, visit func(reflect.Value, string)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		walk(v.Elem(), path, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walk(v.Field(i), path+"."+f.Name, visit)
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		for entries := v.MapRange(); entries.Next(); {
			walk(entries.Value(), fmt.Sprintf("%s[%v]", path, entries.Key()), visit)
		}
	}
	visit(v, path)
}
