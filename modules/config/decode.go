package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// parse returns the mapping at the root of a document; nil when it is empty.
func parse(source string, text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, syntaxError(source, err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxError(source, err)
		}
		return nil, fmt.Errorf("%s:%d: a second document begins: a configuration file has one", source, second.Line)
	}
	d := &decoder{source: source}
	root := doc.Content[0]
	if d.checkAliases(&doc); len(d.errs) > 0 || null(root) {
		return nil, d.err()
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: the file must be a mapping of keys to values", source, root.Line)
	}
	return root, nil
}

// syntaxError writes the YAML library's "yaml: line 3: …" as "file:3: …".
func syntaxError(source string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		return fmt.Errorf("%s:%s", source, rest)
	}
	return fmt.Errorf("%s: %s", source, text)
}

// decoder decodes nodes over values that hold defaults, and collects every
// problem. It exists because the YAML library's own strict mode knows neither
// the key nor what is allowed there.
type decoder struct {
	source string // file, or what else the values came from
	errs   []error
}

func (d *decoder) err() error { return errors.Join(d.errs...) }

// fail records a problem of a node. A node without a line was not in a file.
func (d *decoder) fail(n *yaml.Node, key, format string, args ...any) {
	where := d.source
	if n.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, n.Line)
	}
	if key != "" {
		where += ": " + key
	}
	d.errs = append(d.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// unknown records a key that nobody knows.
func (d *decoder) unknown(key *yaml.Node, path string, known []string) {
	switch near := nearest(key.Value, known); {
	case near != "":
		d.fail(key, path, "unknown key %q: did you mean %q?", key.Value, near)
	case len(known) == 0:
		d.fail(key, path, "unknown key %q: no keys are allowed here", key.Value)
	default:
		d.fail(key, path, "unknown key %q: use one of %s", key.Value, strings.Join(known, ", "))
	}
}

// pairs yields the pairs of a mapping, in order, and reports keys given twice.
func (d *decoder) pairs(n *yaml.Node, path string, yield func(key, value *yaml.Node)) {
	if null(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, path, "a mapping of keys to values")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, path, "a key must be a plain word")
		case twice:
			d.fail(key, path, "key %q is here for the second time: the first is in line %d", key.Value, line)
		default:
			seen[key.Value] = key.Line
			yield(key, value)
		}
	}
}

// validator is a value that knows whether it can work: a plugin's rule, for
// instance, that is more than its fields.
type validator interface{ Validate() error }

// decode sets v, which holds a default, to the value of n, and has it
// validated where it can be.
func (d *decoder) decode(n *yaml.Node, path string, v reflect.Value) {
	before := len(d.errs)
	d.read(n, path, v)
	if len(d.errs) > before || v.Kind() == reflect.Pointer { // what it points to is validated
		return
	}
	if value, ok := v.Addr().Interface().(validator); ok {
		if err := value.Validate(); err != nil {
			d.fail(n, path, "%v", err)
		}
	}
}

func (d *decoder) read(n *yaml.Node, path string, v reflect.Value) {
	switch target := v.Addr().Interface().(type) {
	case yaml.Unmarshaler:
		if err := n.Decode(target); err != nil {
			d.fail(n, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode || null(n) {
			d.mismatch(n, path, "a text")
		} else if err := target.UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, path, "%v", err)
		}
		return
	case *time.Duration:
		d.duration(n, path, target)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		fields := fieldsOf(v)
		d.pairs(n, path, func(key, value *yaml.Node) {
			if f, ok := fields.byKey[key.Value]; ok {
				d.decode(value, join(path, key.Value), f)
			} else {
				d.unknown(key, path, fields.keys)
			}
		})
	case reflect.Map:
		d.mapping(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.Pointer:
		target := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem()) // the default must not change
		}
		d.decode(n, path, target.Elem())
		v.Set(target)
	case reflect.Interface:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.fail(n, path, "%v", err)
		}
	default:
		d.scalar(n, path, v)
	}
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		d.fail(n, path, "cannot be configured: %s has keys that are no texts", v.Type())
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, k := range v.MapKeys() {
		m.SetMapIndex(k, v.MapIndex(k))
	}
	d.pairs(n, path, func(key, value *yaml.Node) {
		k := reflect.ValueOf(key.Value).Convert(v.Type().Key())
		element := reflect.New(v.Type().Elem()).Elem()
		if old := m.MapIndex(k); old.IsValid() {
			element.Set(old)
		}
		d.decode(value, join(path, key.Value), element)
		m.SetMapIndex(k, element)
	})
	v.Set(m)
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if null(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, path, "a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, element := range n.Content {
		d.decode(element, fmt.Sprintf("%s[%d]", path, i), list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) duration(n *yaml.Node, path string, target *time.Duration) {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.mismatch(n, path, "a duration: a number with a unit, such as 500ms, 10s or 1m30s")
		return
	}
	*target = parsed
}

func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode {
		tag = ""
	}
	switch v.Kind() {
	case reflect.String:
		if tag == "" || tag == "!!null" || tag == "!!bool" {
			// Unquoted yes and no are truths in YAML; a number is a good name.
			d.mismatch(n, path, "a text")
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if tag != "!!bool" || n.Decode(&b) != nil {
			d.mismatch(n, path, "true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if tag != "!!int" || n.Decode(&i) != nil || v.OverflowInt(i) {
			bits := v.Type().Bits() - 1
			d.mismatch(n, path, fmt.Sprintf("a whole number from %d to %d", int64(-1)<<bits, int64(1)<<bits-1))
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var u uint64
		if tag != "!!int" || n.Decode(&u) != nil || v.OverflowUint(u) {
			d.mismatch(n, path, fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
			return
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		var f float64
		if tag != "!!int" && tag != "!!float" || n.Decode(&f) != nil {
			d.mismatch(n, path, "a number")
			return
		}
		v.SetFloat(f)
	default:
		d.fail(n, path, "cannot be configured: a value of type %s has no form in YAML", v.Type())
	}
}

// mismatch records a value of another type than the one that is wanted.
func (d *decoder) mismatch(n *yaml.Node, path, want string) {
	got := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}[n.Kind]
	switch {
	case null(n):
		d.fail(n, path, "has no value: give %s, or leave the key out", want)
	case got == "":
		d.fail(n, path, "%q is not %s", n.Value, want)
	default:
		d.fail(n, path, "must be %s, not %s", want, got)
	}
}

// checkAliases refuses anchors' uses: they make a small file a huge value.
func (d *decoder) checkAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		d.fail(n, "", "aliases are not allowed: write the value of *%s out", n.Value)
	}
	for _, child := range n.Content {
		d.checkAliases(child)
	}
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
