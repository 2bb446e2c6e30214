package registry

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"github.com/pouchfx/pouchfx/plugins"
)

// Compare orders plugins without relations: bigger priority first, then by
// name.
func Compare(a, b *plugins.Registration) int {
	return cmp.Or(cmp.Compare(b.Policy.Priority, a.Policy.Priority), cmp.Compare(a.Name, b.Name))
}

// Order sorts the plugins of a daemon: each after those that its policy, or
// theirs, puts before it; among those that could be next, as Compare says.
// Relations to plugins that are not in the list count for nothing, see
// Unknown. A cycle is an error; the order is then that of Compare.
func Order(all []*plugins.Registration) ([]*plugins.Registration, error) {
	ordered := slices.Clone(all)
	slices.SortStableFunc(ordered, Compare)
	before, related := relations(ordered)
	if !related {
		return ordered, nil
	}
	waits := make([]int, len(ordered)) // for how many
	for _, followers := range before {
		for _, f := range followers {
			waits[f]++
		}
	}
	var next indexes // which are in the order of Compare
	for i, n := range waits {
		if n == 0 {
			next = append(next, i)
		}
	}
	heap.Init(&next)
	result := make([]*plugins.Registration, 0, len(ordered))
	for len(next) > 0 {
		i := heap.Pop(&next).(int)
		result = append(result, ordered[i])
		for _, f := range before[i] {
			if waits[f]--; waits[f] == 0 {
				heap.Push(&next, f)
			}
		}
	}
	if len(result) < len(ordered) {
		return ordered, cycle(ordered, before, waits)
	}
	return result, nil
}

// relations returns, for each plugin, which come after it.
func relations(ordered []*plugins.Registration) (before [][]int, related bool) {
	index := make(map[string]int, len(ordered))
	for i, r := range ordered {
		index[r.Name] = i
	}
	before = make([][]int, len(ordered))
	add := func(first, second int) {
		if !slices.Contains(before[first], second) {
			before[first] = append(before[first], second)
			related = true
		}
	}
	for i, r := range ordered {
		for _, name := range r.Policy.After {
			if j, ok := index[name]; ok {
				add(j, i)
			}
		}
		for _, name := range r.Policy.Before {
			if j, ok := index[name]; ok {
				add(i, j)
			}
		}
	}
	return before, related
}

// cycle names a cycle among the plugins that still wait for others.
func cycle(ordered []*plugins.Registration, before [][]int, waits []int) error {
	// Whoever waits, waits for somebody who waits: from one to the next, this
	// leads into a cycle.
	at := slices.IndexFunc(waits, func(n int) bool { return n > 0 })
	var path []int
	for !slices.Contains(path, at) {
		path = append(path, at)
		for first, followers := range before {
			if waits[first] > 0 && slices.Contains(followers, at) {
				at = first
				break
			}
		}
	}
	names := []string{ordered[at].Name}
	for i := len(path) - 1; path[i] != at; i-- {
		names = append(names, ordered[path[i]].Name)
	}
	return &CycleError{append(names, names[0])}
}

// CycleError says that relations contradict each other.
type CycleError struct {
	// Plugins each are to come before the next; the last is the first.
	Plugins []string
}

func (e *CycleError) Error() string {
	return fmt.Sprintf("the order of plugins goes round in a circle, each is to come before the next: %s: remove one of the relations before or after",
		strings.Join(e.Plugins, ", "))
}

// UnknownError is a relation to a plugin that the daemon does not have.
type UnknownError struct {
	Plugin string
	// Relation is "before" or "after".
	Relation, To string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("plugin %q: it is to come %s %q, which this daemon does not have: correct the name, or remove it", e.Plugin, e.Relation, e.To)
}

// Unknown returns the relations to plugins that the daemon does not have.
func Unknown(all []*plugins.Registration) (errs []*UnknownError) {
	known := make(map[string]bool, len(all))
	for _, r := range all {
		known[r.Name] = true
	}
	for _, r := range all {
		for relation, names := range map[string][]string{"before": r.Policy.Before, "after": r.Policy.After} {
			for _, name := range names {
				if !known[name] {
					errs = append(errs, &UnknownError{r.Name, relation, name})
				}
			}
		}
	}
	slices.SortFunc(errs, func(a, b *UnknownError) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// indexes is a heap.
type indexes []int

func (x indexes) Len() int           { return len(x) }
func (x indexes) Less(i, j int) bool { return x[i] < x[j] }
func (x indexes) Swap(i, j int)      { x[i], x[j] = x[j], x[i] }
func (x *indexes) Push(v any)        { *x = append(*x, v.(int)) }
func (x *indexes) Pop() any {
	last := len(*x) - 1
	v := (*x)[last]
	*x = (*x)[:last]
	return v
}
