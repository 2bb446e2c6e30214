// Package filters reads the filters parameter of Docker's list, prune and
// event requests and answers whether an object matches.
//
// Every resource has its own filter keys; what they share is here, so that a
// label or a name filter means the same for containers, images, volumes and
// events. The rules are those of dockerd.
package filters

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// Args holds the values given for each filter key. The nil Args filters
// nothing.
type Args map[string]map[string]bool

// Parse decodes the parameter: {"label":{"a=b":true}} or, from older clients,
// {"label":["a=b"]}. An empty text means no filters. Its error is an
// errdefs.ErrInvalidArgument.
func Parse(text string) (Args, error) {
	if text == "" {
		return nil, nil
	}
	var keys map[string]values
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		return nil, invalid("invalid filters: use JSON such as {\"label\":{\"a=b\":true}}: %v", err)
	}
	args := make(Args, len(keys))
	for key, v := range keys {
		if len(v) > 0 {
			args[key] = v
		}
	}
	return args, nil
}

// values is the set of values of one key, in either form.
type values map[string]bool

func (v *values) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*v = make(values, len(list))
		for _, value := range list {
			(*v)[value] = true
		}
		return nil
	}
	return json.Unmarshal(data, (*map[string]bool)(v))
}

// Has reports whether the key was given.
func (a Args) Has(key string) bool { return len(a[key]) > 0 }

// Get returns the values of a key, sorted.
func (a Args) Get(key string) []string { return slices.Sorted(maps.Keys(a[key])) }

// With returns the arguments and one value more.
func (a Args) With(key, value string) Args {
	with := make(Args, len(a)+1)
	maps.Copy(with, a)
	with[key] = maps.Clone(a[key])
	if with[key] == nil {
		with[key] = make(map[string]bool)
	}
	with[key][value] = true
	return with
}

// Validate refuses keys that are not among those allowed, as dockerd does.
func (a Args) Validate(allowed ...string) error {
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if !slices.Contains(allowed, key) {
			return invalid("invalid filter '%s': use one of %s", key, strings.Join(allowed, ", "))
		}
	}
	return nil
}

// Bool returns the value of a key that is true or false, and otherwise when
// it was not given.
func (a Args) Bool(key string, otherwise bool) (bool, error) {
	if !a.Has(key) {
		return otherwise, nil
	}
	yes := a[key]["1"] || a[key]["true"]
	no := a[key]["0"] || a[key]["false"]
	if yes == no {
		return false, invalid("invalid filter '%s=%s': use true or false", key, strings.Join(a.Get(key), ","))
	}
	return yes, nil
}

// Exact reports whether source is one of the key's values, or the key was not
// given.
func (a Args) Exact(key, source string) bool { return !a.Has(key) || a.has(key, source) }

// Prefix reports whether source begins with one of the key's values, or the
// key was not given.
func (a Args) Prefix(key, source string) bool {
	return a.any(key, func(value string) bool { return strings.HasPrefix(source, value) })
}

// Match reports whether source equals one of the key's values or matches one
// as a regular expression, or the key was not given.
func (a Args) Match(key, source string) bool {
	return a.any(key, func(value string) bool {
		if value == source {
			return true
		}
		matched, err := regexp.MatchString(value, source)
		return err == nil && matched
	})
}

// Labels reports whether labels satisfy all values of "label" and none of
// "label!". A value is a key or key=value.
func (a Args) Labels(labels map[string]string) bool {
	for value := range a["label"] {
		if !hasLabel(labels, value) {
			return false
		}
	}
	for value := range a["label!"] {
		if hasLabel(labels, value) {
			return false
		}
	}
	return true
}

func hasLabel(labels map[string]string, want string) bool {
	key, value, exact := strings.Cut(want, "=")
	got, ok := labels[key]
	return ok && (!exact || got == value)
}

func (a Args) has(key, value string) bool {
	_, ok := a[key][value]
	return ok
}

func (a Args) any(key string, matches func(value string) bool) bool {
	if !a.Has(key) {
		return true
	}
	for value := range a[key] {
		if matches(value) {
			return true
		}
	}
	return false
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
