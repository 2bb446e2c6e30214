package updatebridge

import (
	"bytes"
	"encoding/json"
	"errors"
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

// fold makes keys equal that are the same to the daemon, which reads Memory and
// memory alike: a rule for one is for both.
func fold(key string) string {
	if !strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII }) {
		return strings.ToUpper(key) // the same, and fast
	}
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
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

// text is the body as it is now.
func (b *body) text() ([]byte, error) {
	values := make(map[string]json.RawMessage, len(b.entries))
	for _, e := range b.entries {
		values[e.key] = e.value
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(values)
	return text.Bytes(), err
}

// has reports whether the client asked for something. Docker's own client sends
// each key, most of them with 0.
func (b *body) has(key string) bool {
	switch value := string(b.entries[fold(key)].value); value {
	case "", "null":
		return false
	case "0", `""`, "[]":
		return key == pidsLimit && value == "0"
	}
	return true
}

// pidsLimit is the key for which 0 says something: no limit.
const pidsLimit = "PidsLimit"

func (b *body) put(key string, value json.RawMessage) {
	folded := fold(key)
	if e, has := b.entries[folded]; has {
		key = e.key
	}
	b.entries[folded] = entry{key, value}
	delete(b.lists, folded)
	b.changed = true
}

func (b *body) remove(folded string) {
	if _, has := b.entries[folded]; has {
		delete(b.entries, folded)
		delete(b.lists, folded)
		b.changed = true
	}
}

// rename gives a value another key. What that has already stays, unless the
// rule overrides.
func (b *body) rename(r *rule) {
	e, has := b.entries[r.key]
	if !has {
		return
	}
	b.remove(r.key)
	if !b.has(r.Rename) || r.Override {
		b.put(r.Rename, e.value)
	}
}

// list is the value of Env or Label.
func (b *body) list(key string) (list []string, err error) {
	folded := fold(key)
	if list, read := b.lists[folded]; read {
		return list, nil
	}
	if value := b.entries[folded].value; value != nil {
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, invalid("%s of the update is not a list of texts", key)
		}
	}
	if b.lists == nil {
		b.lists = map[string][]string{}
	}
	b.lists[folded] = list
	return list, nil
}

// without takes names out of a list.
func (b *body) without(key string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	list, err := b.list(key)
	if err != nil || len(list) == 0 {
		return err
	}
	if list = limit.Without(slices.Clone(list), names); len(list) == 0 {
		b.remove(fold(key))
		return nil
	}
	value, err := json.Marshal(list)
	if err == nil {
		b.put(key, value)
	}
	return err
}

// clamp lowers a limit that is too high, or that would be none. What is no
// whole number is left to the daemon to refuse.
func (b *body) clamp(f limit.Field, most int64) {
	if !b.has(f.Key()) {
		return
	}
	n, err := strconv.ParseInt(string(b.entries[fold(f.Key())].value), 10, 64)
	if err == nil && (n > most || n < 0 || n == 0 && f.Key() == pidsLimit) {
		b.put(f.Key(), strconv.AppendInt(nil, most, 10))
	}
}
