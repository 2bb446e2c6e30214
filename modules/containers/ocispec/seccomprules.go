package ocispec

import (
	"cmp"
	"math/bits"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// fewerRules returns rules that decide as the given ones do, with fewer of
// those that compare one argument of a system call with one value each: masks
// stand for several values. Docker's profile lists the families of sockets in
// that way, and libseccomp takes a quarter of its time for them, 12 ms of each
// start of a container.
func fewerRules(rules []specs.LinuxSyscall) []specs.LinuxSyscall {
	type kind struct {
		name, action string
		errno, index uint
	}
	values := map[kind][]uint64{}
	kindOf := func(r specs.LinuxSyscall) (k kind, ok bool) {
		if len(r.Names) != 1 || len(r.Args) != 1 || r.Args[0].Op != specs.OpEqualTo {
			return k, false
		}
		k = kind{name: r.Names[0], action: string(r.Action), index: r.Args[0].Index}
		if r.ErrnoRet != nil {
			k.errno = *r.ErrnoRet + 1 // 0 is none
		}
		return k, true
	}
	for _, r := range rules {
		if k, ok := kindOf(r); ok {
			values[k] = append(values[k], r.Args[0].Value)
		}
	}
	var result []specs.LinuxSyscall
	for _, r := range rules {
		k, ok := kindOf(r)
		if !ok {
			result = append(result, r)
			continue
		}
		for _, p := range patterns(values[k]) {
			one := r
			one.Args = []specs.LinuxSeccompArg{p.condition(k.index)}
			result = append(result, one)
		}
		delete(values, k) // all at the place of the first
	}
	return result
}

// pattern stands for the values that are value in all bits but those of any.
type pattern struct{ any, value uint64 }

func (p pattern) matches(v uint64) bool { return v&^p.any == p.value }

func (p pattern) condition(index uint) specs.LinuxSeccompArg {
	if p.any == 0 {
		return specs.LinuxSeccompArg{Index: index, Value: p.value, Op: specs.OpEqualTo}
	}
	return specs.LinuxSeccompArg{Index: index, Value: ^p.any, ValueTwo: p.value, Op: specs.OpMaskedEqual}
}

// patterns returns few patterns that match the values and no others. It is the
// method of Quine and McCluskey, with a greedy choice at the end.
func patterns(values []uint64) []pattern {
	level := map[pattern]bool{} // true when a wider one matches all that it does
	for _, v := range values {
		level[pattern{value: v}] = false
	}
	var widest []pattern
	for len(level) > 0 {
		next := map[pattern]bool{}
		for p := range level {
			for q := range level {
				if differ := p.value ^ q.value; p.any == q.any && bits.OnesCount64(differ) == 1 {
					level[p], level[q] = true, true
					next[pattern{any: p.any | differ, value: p.value &^ differ}] = false
				}
			}
		}
		for p, covered := range level {
			if !covered {
				widest = append(widest, p)
			}
		}
		level = next
	}
	slices.SortFunc(widest, func(p, q pattern) int { // the same at every start
		return cmp.Or(cmp.Compare(p.value, q.value), cmp.Compare(p.any, q.any))
	})
	return cover(values, widest)
}

// cover chooses patterns until all values are matched, each time one that
// matches the most of those left.
func cover(values []uint64, from []pattern) []pattern {
	var chosen []pattern
	left := slices.Clone(values)
	for len(left) > 0 {
		var best pattern
		most := 0
		for _, p := range from {
			n := 0
			for _, v := range left {
				if p.matches(v) {
					n++
				}
			}
			if n > most {
				best, most = p, n
			}
		}
		chosen = append(chosen, best)
		left = slices.DeleteFunc(left, best.matches)
	}
	return chosen
}
