package mapping

import (
	"strings"
	"unicode/utf8"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

func showEnv(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	for _, e := range r.GetConfig().GetEnvs() {
		c.Env = append(c.Env, e.GetKey()+"="+string(e.GetValue()))
	}
}

// carryEnv keeps the order, and variables that are there twice. A value may be
// any bytes but NUL.
func carryEnv(c *change) {
	before, after := c.before.Env, c.after.Env
	c.before.Env = after
	if same(before, after) {
		return
	}
	entries := c.config().GetEnvs()
	var result []*runtime.KeyValue
	for i, at := range pair(before, after, equal, garbled, sameName) {
		key, value, given := strings.Cut(after[i], "=")
		switch {
		case at >= 0 && (equal(before[at], after[i]) || garbled(before[at], after[i])):
			result = append(result, entries[at])
		case !given:
			c.refuse("Env", "%q alone has no form in CRI: give it a value, or leave it out", key)
		case key == "" || !utf8.ValidString(key) || strings.ContainsRune(after[i], 0):
			c.refuse("Env", "%q is no variable", after[i])
		case at >= 0:
			entries[at].Key, entries[at].Value = key, []byte(value)
			result = append(result, entries[at])
		default:
			result = append(result, &runtime.KeyValue{Key: key, Value: []byte(value)})
		}
	}
	c.config().Envs = result
}

func equal(b, a string) bool { return a == b }

// garbled tells whether a is what is left of b when a hook has written it to
// JSON and read it back: bytes that are not UTF-8 are lost.
func garbled(b, a string) bool {
	return !utf8.ValidString(b) && a == string([]rune(b))
}

func sameName(b, a string) bool {
	x, _, _ := strings.Cut(b, "=")
	y, _, _ := strings.Cut(a, "=")
	return x == y
}
