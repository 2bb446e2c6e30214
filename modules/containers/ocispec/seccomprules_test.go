package ocispec

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decide does with rules what libseccomp does with them, for a call with one
// argument; "" is the default action.
func decide(rules []specs.LinuxSyscall, name string, arg uint64) specs.LinuxSeccompAction {
	for _, r := range rules {
		if slices.Contains(r.Names, name) && !slices.ContainsFunc(r.Args, func(a specs.LinuxSeccompArg) bool { return !holds(a, arg) }) {
			return r.Action
		}
	}
	return ""
}

func holds(a specs.LinuxSeccompArg, arg uint64) bool {
	switch a.Op {
	case specs.OpEqualTo:
		return arg == a.Value
	case specs.OpLessThan:
		return arg < a.Value
	case specs.OpMaskedEqual:
		return arg&a.Value == a.ValueTwo
	}
	panic(a.Op)
}

func TestFewerRulesDecideAsTheDefaultProfileDoes(t *testing.T) {
	profile, err := seccomp.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	require.NoError(t, err)
	before, after := profile.Syscalls, fewerRules(profile.Syscalls)
	assert.Less(t, len(after), len(before)-10)

	names := map[string]bool{}
	for _, r := range before {
		for _, name := range r.Names {
			names[name] = true
		}
	}
	args := []uint64{0x20000, 0x20008, 0xffffffff, 1 << 32, 1<<32 + 7, 1 << 63, ^uint64(0), 2114060288}
	for arg := range uint64(256) {
		args = append(args, arg)
	}
	for range 256 {
		args = append(args, rand.Uint64(), uint64(rand.Uint32()))
	}
	for name := range names {
		for _, arg := range args {
			require.Equal(t, decide(before, name, arg), decide(after, name, arg), "%s(%#x)", name, arg)
		}
	}
}

func TestRulesThatDifferInMoreThanTheValueStayApart(t *testing.T) {
	errno := uint(1)
	equal := func(name string, index uint, value uint64, action specs.LinuxSeccompAction, errno *uint) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{name}, Action: action, ErrnoRet: errno, Args: []specs.LinuxSeccompArg{{Index: index, Value: value, Op: specs.OpEqualTo}}}
	}
	rules := []specs.LinuxSyscall{
		equal("socket", 0, 2, specs.ActAllow, nil),
		equal("socket", 1, 3, specs.ActAllow, nil),
		equal("bind", 0, 3, specs.ActAllow, nil),
		equal("socket", 0, 6, specs.ActErrno, nil),
		equal("socket", 0, 7, specs.ActErrno, &errno),
		{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 4, Op: specs.OpEqualTo}, {Index: 1, Value: 5, Op: specs.OpEqualTo}}},
	}
	assert.Equal(t, rules, fewerRules(rules))
	assert.Equal(t, []specs.LinuxSyscall{{
		Names: []string{"socket"}, Action: specs.ActAllow,
		Args: []specs.LinuxSeccompArg{{Index: 0, Value: ^uint64(1), ValueTwo: 2, Op: specs.OpMaskedEqual}},
	}}, fewerRules([]specs.LinuxSyscall{equal("socket", 0, 2, specs.ActAllow, nil), equal("socket", 0, 3, specs.ActAllow, nil), equal("socket", 0, 3, specs.ActAllow, nil)}))
}

func TestPatternsMatchTheirValuesAndNoOthers(t *testing.T) {
	for range 200 {
		wanted := map[uint64]bool{}
		var values []uint64
		for range rand.IntN(40) {
			v := rand.Uint64N(64)
			wanted[v] = true
			values = append(values, v)
		}
		found := patterns(values)
		assert.LessOrEqual(t, len(found), len(wanted))
		for v := range uint64(128) {
			assert.Equal(t, wanted[v], slices.ContainsFunc(found, func(p pattern) bool { return p.matches(v) }), v)
		}
	}
}
