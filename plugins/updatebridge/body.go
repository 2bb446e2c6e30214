package updatebridge

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pouchfx/pouchfx/plugins/limit"
)

// body is the body of an update. Values that no rule is for stay as they are
// written, so that no digit of a number is lost.
type body struct {
	entries map[string]entry    // by the folded key
	lists   map[string][]string // those of entries that were read as such
	changed bool
}

type entry struct {
	key   string // as the client wrote it
	value json.RawMessage
}

// key is one that a rule is about.
type key struct{ name, folded string }

func newKey(name string) key { return key{name, fold(name)} }

// The keys of lists, and that for which 0 says something: no limit.
var (
	envKey    = key{"Env", "ENV"}
	labelKey  = key{"Label", "LABEL"}
	pidsLimit = key{"PidsLimit", "PIDSLIMIT"}
)

// fold makes keys equal that are the same to the daemon, which reads Memory and
// memory alike: a rule for one is for both.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		for r > unicode.MaxASCII {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
		return r
	}, key)
}

func readBody(text []byte) (*body, error) {
	var values map[string]json.RawMessage
	err := json.Unmarshal(text, &values)
	if err == nil && values == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, invalid("the update is not a JSON object: %v", err)
	}
	b := &body{entries: make(map[string]entry, len(values))}
	for key, value := range values {
		folded := fold(key)
		if twin, has := b.entries[folded]; has {
			return nil, invalid("the update has one key twice: as %q and as %q", min(key, twin.key), max(key, twin.key))
		}
		b.entries[folded] = entry{key, value}
	}
	return b, nil
}

// text is the body as it is now, in the order of its keys.
func (b *body) text() ([]byte, error) {
	text := []byte{'{'}
	for i, folded := range slices.Sorted(maps.Keys(b.entries)) {
		e := b.entries[folded]
		key, err := json.Marshal(e.key)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, key...), ':'), e.value...)
	}
	return append(text, '}'), nil
}

// has reports whether the client asked for something. Docker's own client sends
// each key, most of them with 0.
func (b *body) has(k key) bool {
	switch value := string(b.entries[k.folded].value); value {
	case "", "null":
		return false
	case "0", `""`, "[]":
		return k == pidsLimit && value == "0"
	}
	return true
}

func (b *body) put(k key, value json.RawMessage) {
	name := k.name
	if e, has := b.entries[k.folded]; has {
		name = e.key
	}
	b.entries[k.folded] = entry{name, value}
	delete(b.lists, k.folded)
	b.changed = true
}

func (b *body) remove(k key) {
	if _, has := b.entries[k.folded]; has {
		delete(b.entries, k.folded)
		delete(b.lists, k.folded)
		b.changed = true
	}
}

// rename gives a value another key. What that has already stays, unless the
// rule overrides.
func (b *body) rename(r *rule) {
	e, has := b.entries[r.key.folded]
	if !has {
		return
	}
	b.remove(r.key)
	if !b.has(r.newName) || r.Override {
		b.put(r.newName, e.value)
	}
}

// list is the value of Env or Label.
func (b *body) list(k key) (list []string, err error) {
	if list, read := b.lists[k.folded]; read {
		return list, nil
	}
	if value := b.entries[k.folded].value; value != nil {
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, invalid("%s of the update is not a list of texts", k.name)
		}
	}
	if b.lists == nil {
		b.lists = map[string][]string{}
	}
	b.lists[k.folded] = list
	return list, nil
}

// without takes names out of a list.
func (b *body) without(k key, names []string) error {
	if len(names) == 0 {
		return nil
	}
	list, err := b.list(k)
	if err != nil || len(list) == 0 {
		return err
	}
	if list = limit.Without(slices.Clone(list), names); len(list) == 0 {
		b.remove(k)
		return nil
	}
	value, err := json.Marshal(list)
	if err == nil {
		b.put(k, value)
	}
	return err
}

// clamp lowers a limit that is too high, or that would be none. What is no
// whole number is left to the daemon to refuse.
func (b *body) clamp(k key, most int64) {
	if !b.has(k) {
		return
	}
	n, err := strconv.ParseInt(string(b.entries[k.folded].value), 10, 64)
	if err == nil && (n > most || n < 0 || n == 0 && k == pidsLimit) {
		b.put(k, strconv.AppendInt(nil, most, 10))
	}
}
