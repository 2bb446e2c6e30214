package registry_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

func before(names ...string) func(*plugins.Policy) {
	return func(p *plugins.Policy) { p.Before = names }
}
func after(names ...string) func(*plugins.Policy) {
	return func(p *plugins.Policy) { p.After = names }
}

func namesOf(regs []*plugins.Registration) (names []string) {
	for _, r := range regs {
		names = append(names, r.Name)
	}
	return names
}

func TestRelationsComeBeforePriorities(t *testing.T) {
	for _, c := range []struct {
		about string
		regs  []*plugins.Registration
		order []string
	}{
		{"none", []*plugins.Registration{reg("b", nil), reg("a", nil), reg("c", nil, priority(1))}, []string{"c", "a", "b"}},
		{"after", []*plugins.Registration{reg("a", nil, priority(9), after("b")), reg("b", nil), reg("c", nil, priority(1))}, []string{"c", "b", "a"}},
		{"before", []*plugins.Registration{reg("a", nil, priority(9)), reg("b", nil, before("a")), reg("c", nil)}, []string{"b", "a", "c"}},
		{"said twice", []*plugins.Registration{reg("a", nil, after("b")), reg("b", nil, before("a"))}, []string{"b", "a"}},
		{"in a row", []*plugins.Registration{reg("a", nil, after("b")), reg("b", nil, after("c")), reg("c", nil)}, []string{"c", "b", "a"}},
		{"to one who is not there", []*plugins.Registration{reg("b", nil), reg("a", nil, after("z"))}, []string{"a", "b"}},
	} {
		ordered, err := registry.Order(c.regs)
		require.NoError(t, err, c.about)
		assert.Equal(t, c.order, namesOf(ordered), c.about)
	}
}

func TestACycleIsNamed(t *testing.T) {
	for _, c := range []struct {
		regs []*plugins.Registration
		says string
	}{
		{[]*plugins.Registration{reg("a", nil, before("b")), reg("b", nil, before("c")), reg("c", nil, before("a")), reg("d", nil, after("a")), reg("e", nil)},
			"each is to come before the next: a, b, c, a: remove"},
		{[]*plugins.Registration{reg("a", nil, after("a"))}, "the next: a, a: remove"},
	} {
		_, err := registry.Order(c.regs)
		assert.ErrorContains(t, err, c.says)
	}
}

func TestUnknownNamesAreReported(t *testing.T) {
	errs := registry.Unknown([]*plugins.Registration{reg("a", nil, before("b"), after("y")), reg("b", nil, before("z"))})
	require.Len(t, errs, 2)
	assert.EqualError(t, errs[0], `plugin "a": it is to come after "y", which this daemon does not have: correct the name, or remove it`)
	assert.ErrorContains(t, errs[1], `plugin "b": it is to come before "z"`)
}

func TestAThousandPluginsInARow(t *testing.T) {
	var regs []*plugins.Registration
	for i := range 1000 {
		regs = append(regs, reg(fmt.Sprint("p", i), nil, after(fmt.Sprint("p", i+1))))
	}
	ordered, err := registry.Order(regs)
	require.NoError(t, err)
	assert.Equal(t, "p999", ordered[0].Name)
	assert.Equal(t, "p0", ordered[999].Name)
}
