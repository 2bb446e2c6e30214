package patch

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// walk compares two values of one type and makes two trees of JSON, as
// encoding/json decodes it, of nothing but where they differ.
type walk struct {
	fields   []string
	size     int  // of the trees as JSON, about
	elements int  // of the lists that differ
	moved    bool // an element of one, for another reason than being the last
	err      error
}

// path is where a walk is; most walks need no text of it.
type path struct {
	parent *path
	name   string
}

// String is the JSON pointer.
func (p *path) String() string {
	if p == nil {
		return ""
	}
	return p.parent.String() + "/" + escape(p.name)
}

// compare returns the trees of two values; changed is false, and the trees are
// missing, when their JSON is the same.
func (w *walk) compare(a, b reflect.Value, at *path) (before, after any, changed bool) {
	for a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil() {
		if a.Pointer() == b.Pointer() {
			return nil, nil, false
		}
		a, b = a.Elem(), b.Elem()
	}
	if a.Kind() == reflect.Struct {
		if fields := fieldsOf(a.Type()); fields != nil {
			return w.structs(a, b, fields, at)
		}
	}
	if equal(a, b) {
		return nil, nil, false
	}
	if a.Kind() == reflect.Map && a.Type().Key().Kind() == reflect.String && !marshals(a.Type()) && !marshals(a.Type().Key()) &&
		!a.IsNil() && !b.IsNil() {
		return w.maps(a, b, at)
	}
	before, after = w.leaf(a), w.leaf(b)
	had := len(w.fields)
	w.documents(before, after, at.String())
	return before, after, len(w.fields) > had
}

func (w *walk) structs(a, b reflect.Value, fields []field, at *path) (before, after any, changed bool) {
	var x, y map[string]any
	w.members(a, b, fields, at, &x, &y)
	return x, y, x != nil
}

// members adds the fields of two structs that differ to the objects x and y.
func (w *walk) members(a, b reflect.Value, fields []field, at *path, x, y *map[string]any) {
	here := &path{parent: at} // of one field after the other: nobody keeps it
	for i := range fields {
		f := &fields[i]
		u, v := a.Field(f.index), b.Field(f.index)
		if f.embedded != nil {
			w.members(u, v, f.embedded, at, x, y)
			continue
		}
		if u.IsZero() && v.IsZero() {
			continue
		}
		hidden, gone := f.omits(u), f.omits(v)
		if hidden && gone {
			continue
		}
		here.name = f.name
		old, now, differs := any(nil), any(nil), true
		if hidden || gone {
			old, now = w.oneSided(u, v, hidden, here.String())
		} else {
			old, now, differs = w.compare(u, v, here)
		}
		if !differs {
			continue
		}
		if *x == nil {
			*x, *y = map[string]any{}, map[string]any{}
		}
		if !hidden {
			(*x)[f.name] = old
		}
		if !gone {
			(*y)[f.name] = now
		}
		w.size += 2 * len(f.name)
	}
}

// oneSided handles a field that is left out of one of the documents.
func (w *walk) oneSided(a, b reflect.Value, added bool, path string) (before, after any) {
	if added {
		after = w.leaf(b)
	} else {
		before = w.leaf(a)
	}
	had := len(w.fields)
	w.documents(before, after, path)
	if len(w.fields) == had {
		w.fields = append(w.fields, path) // empty, but now it shows
	}
	return before, after
}

func (w *walk) maps(a, b reflect.Value, parent *path) (before, after any, changed bool) {
	x, y := map[string]any{}, map[string]any{}
	if p, ok := textsOf(a); ok {
		if q, ok := textsOf(b); ok {
			w.texts(p, q, x, y, parent)
			return x, y, len(x)+len(y) > 0
		}
	}
	for entries := a.MapRange(); entries.Next(); {
		key := entries.Key().String()
		now := b.MapIndex(entries.Key())
		if !now.IsValid() {
			x[key] = w.leaf(entries.Value())
			w.wrote(parent, key, 0)
		} else if old, now, differs := w.compare(entries.Value(), now, &path{parent, key}); differs {
			x[key], y[key] = old, now
		}
	}
	for entries := b.MapRange(); entries.Next(); {
		if key := entries.Key().String(); !a.MapIndex(entries.Key()).IsValid() {
			y[key] = w.leaf(entries.Value())
			w.wrote(parent, key, 0)
		}
	}
	return x, y, len(x)+len(y) > 0
}

// textsOf spares the reflection for the maps that there are most of.
func textsOf(v reflect.Value) (map[string]string, bool) {
	if !v.CanAddr() {
		return nil, false
	}
	p, ok := v.Addr().Interface().(*map[string]string)
	if !ok {
		return nil, false
	}
	return *p, true
}

func (w *walk) texts(a, b map[string]string, x, y map[string]any, parent *path) {
	for key, old := range a {
		now, ok := b[key]
		if ok && now == old {
			continue
		}
		x[key] = old
		if ok {
			y[key] = now
		}
		w.wrote(parent, key, len(old)+len(now))
	}
	for key, now := range b {
		if _, ok := a[key]; !ok {
			y[key] = now
			w.wrote(parent, key, len(now))
		}
	}
}

// wrote notes an entry of a map, with the size of its values.
func (w *walk) wrote(parent *path, key string, size int) {
	w.fields = append(w.fields, (&path{parent, key}).String())
	w.size += len(key) + size
}

// leaf returns a whole value as encoding/json would decode its JSON.
func (w *walk) leaf(v reflect.Value) any {
	if !marshals(v.Type()) {
		switch v.Kind() {
		case reflect.String:
			w.size += v.Len()
			return v.String()
		case reflect.Bool:
			return v.Bool()
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			return json.Number(strconv.FormatInt(v.Int(), 10))
		case reflect.Pointer:
			if v.IsNil() {
				return nil
			}
			return w.leaf(v.Elem())
		case reflect.Slice:
			if v.IsNil() {
				return nil
			}
			if v.Type().Elem().Kind() == reflect.String {
				list := make([]any, v.Len())
				for i := range list {
					list[i] = w.leaf(v.Index(i))
				}
				return list
			}
		}
	}
	if v.CanAddr() {
		v = v.Addr() // as encoding/json finds methods of the pointer
	}
	text, err := json.Marshal(v.Interface())
	if err == nil {
		w.size += len(text)
		var tree any
		if tree, err = decode(text); err == nil {
			return tree
		}
	}
	w.err = err
	return nil
}

// documents notes the fields in which two trees differ.
func (w *walk) documents(a, b any, path string) {
	x, isMap := a.(map[string]any)
	y, areMaps := b.(map[string]any)
	if isMap && areMaps || isMap && b == nil && len(x) > 0 || areMaps && a == nil && len(y) > 0 {
		for _, key := range slices.Sorted(maps.Keys(union(x, y))) {
			old, had := x[key]
			now, has := y[key]
			noted := len(w.fields)
			w.documents(old, now, path+"/"+escape(key))
			if had != has && len(w.fields) == noted {
				w.fields = append(w.fields, path+"/"+escape(key)) // empty, but now it shows
			}
		}
		return
	}
	p, isList := a.([]any)
	q, areLists := b.([]any)
	if isList && areLists || isList && b == nil || areLists && a == nil {
		w.lists(p, q, path, isList == areLists)
		return
	}
	if !same(a, b) {
		w.fields = append(w.fields, path)
	}
}

func union(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[string]any, len(b))
	}
	maps.Copy(all, b)
	return all
}
