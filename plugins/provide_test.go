package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// settings is a configuration: what it does to a plugin's policy and config.
type settings map[string]func(policy *plugins.Policy, config any) error

func (s settings) Plugin(name string, policy *plugins.Policy, config any) error {
	if change := s[name]; change != nil {
		return change(policy, config)
	}
	return nil
}

func (s settings) Configured(name string) bool { return s[name] != nil }

func (s settings) Conflicts(string) plugins.OnConflict { return plugins.Warn }

func off(policy *plugins.Policy, _ any) error {
	policy.Enabled = false
	return nil
}

// assemble builds an app of options and returns what is registered for the
// container, daemon and volume kinds.
func assemble(t *testing.T, s settings, opts ...fx.Option) (map[plugins.Kind][]*plugins.Registration, error) {
	t.Helper()
	got := make(map[plugins.Kind][]*plugins.Registration)
	app := fx.New(append(opts, fx.NopLogger,
		fx.Supply(fx.Annotate(s, fx.As(new(plugins.Settings)))),
		fx.Invoke(func(c plugins.ContainerRegistrations, d plugins.DaemonRegistrations, v plugins.VolumeRegistrations) {
			got[plugins.KindContainer], got[plugins.KindDaemon], got[plugins.KindVolume] = c.All, d.All, v.All
		}))...)
	return got, app.Err()
}

// one returns the only container plugin of an app.
func one(t *testing.T, s settings, opts ...fx.Option) *plugins.Registration {
	t.Helper()
	got, err := assemble(t, s, opts...)
	require.NoError(t, err)
	require.Len(t, got[plugins.KindContainer], 1)
	return got[plugins.KindContainer][0]
}

type limits struct{ Max int }

type store struct{ name string }

// box is a container plugin that remembers what it was made from.
type box struct {
	plugins.ContainerBase
	from any
}

type params struct {
	plugins.In
	Config limits
	Store  *store
	Other  *store `name:"other"`
	None   *int   `optional:"true"`
	Log    *zap.Logger
}

func TestAConstructorMayTakeAParameterObject(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := one(t, settings{"env-limits": func(_ *plugins.Policy, config any) error {
		config.(*limits).Max++
		return nil
	}},
		fx.Supply(zap.New(core), &store{"plain"}, fx.Annotate(&store{"other"}, fx.ResultTags(`name:"other"`))),
		plugins.Provide("env-limits", func(p params) (*box, error) { return &box{from: p}, nil },
			plugins.Defaults(limits{Max: 4}), plugins.Priority(50)))

	got := r.Plugin.(*box).from.(params)
	assert.Equal(t, limits{Max: 5}, got.Config, "the section is decoded over the defaults")
	assert.Equal(t, "plain", got.Store.name)
	assert.Equal(t, "other", got.Other.name)
	assert.Nil(t, got.None)
	got.Log.Info("hello")
	assert.Equal(t, "env-limits", logs.All()[0].LoggerName)

	assert.Equal(t, "env-limits", r.Name)
	assert.Equal(t, 50, r.Policy.Priority)
	assert.Equal(t, []plugins.Kind{plugins.KindContainer}, r.Kinds)
	assert.Contains(t, r.Origin, "provide_test.go:")
}

func TestAConstructorMayTakeOneThing(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	for name, option := range map[string]fx.Option{
		"nothing":      plugins.Provide("p", func(struct{}) (*box, error) { return &box{from: "nothing"}, nil }),
		"a dependency": plugins.Provide("p", func(s *store) (*box, error) { return &box{from: s.name}, nil }),
		"the config": plugins.Provide("p", func(l limits) (*box, error) { return &box{from: l.Max}, nil },
			plugins.Defaults(limits{Max: 4})),
		"a config by pointer": plugins.Provide("p", func(l *limits) (*box, error) { return &box{from: l.Max}, nil },
			plugins.Defaults(&limits{Max: 4})),
		"a logger": plugins.Provide("p", func(l *zap.Logger) (*box, error) {
			l.Info("made")
			return &box{from: "logger"}, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r := one(t, settings{}, option, fx.Supply(&store{"a store"}, zap.New(core)))
			assert.NotEmpty(t, r.Plugin.(*box).from)
		})
	}
	assert.Equal(t, "p", logs.All()[0].LoggerName)
}

func TestDefaultsAreNotShared(t *testing.T) {
	defaults := limits{Max: 4}
	p := plugins.Provide("p", func(l limits) (*box, error) { return &box{from: l.Max}, nil }, plugins.Defaults(defaults))
	grow := settings{"p": func(_ *plugins.Policy, config any) error { config.(*limits).Max *= 2; return nil }}
	for range 2 {
		assert.Equal(t, 8, one(t, grow, p).Plugin.(*box).from)
	}
}

func TestOneTypeMayBeProvidedUnderTwoNames(t *testing.T) {
	made := 0
	construct := func(struct{}) (*box, error) { made++; return &box{}, nil }
	got, err := assemble(t, settings{}, plugins.Provide("a", construct), plugins.Provide("b", construct))
	require.NoError(t, err)
	require.Len(t, got[plugins.KindContainer], 2)
	assert.NotSame(t, got[plugins.KindContainer][0].Plugin, got[plugins.KindContainer][1].Plugin)
	assert.Equal(t, 2, made)
}

// both is of two kinds, by pointer for one and by value for the other.
type both struct {
	plugins.ContainerBase
	plugins.DaemonBase
}

func (*both) PreVolumeCreate(context.Context, *types.VolumeCreateConfig) error { return nil }

func TestOneInstanceServesAllItsKinds(t *testing.T) {
	made := 0
	p := plugins.Provide("both", func(struct{}) (*both, error) { made++; return &both{}, nil })
	assert.Equal(t, []plugins.Kind{plugins.KindContainer, plugins.KindDaemon, plugins.KindVolume}, p.Kinds)
	got, err := assemble(t, settings{}, p)
	require.NoError(t, err)
	assert.Equal(t, 1, made)
	assert.Same(t, got[plugins.KindContainer][0], got[plugins.KindDaemon][0])
	assert.Same(t, got[plugins.KindContainer][0], got[plugins.KindVolume][0])
	assert.True(t, got[plugins.KindDaemon][0].Is(plugins.KindVolume))
}

func TestAPluginMayBeAnInterfaceOrAValue(t *testing.T) {
	assert.NotNil(t, one(t, settings{}, plugins.Provide("i", func(struct{}) (plugins.ContainerPlugin, error) {
		return &box{}, nil
	})).Plugin)
	assert.NotNil(t, one(t, settings{}, plugins.Provide("v", func(struct{}) (box, error) { return box{}, nil })).Plugin)
}

func TestADisabledPluginIsNotConstructed(t *testing.T) {
	r := one(t, settings{"p": off}, plugins.Provide("p", func(struct{}) (*box, error) {
		t.Error("constructed")
		return nil, nil
	}))
	assert.Nil(t, r.Plugin)
	assert.NoError(t, r.Err)
	assert.False(t, r.Policy.Enabled)
}

func TestAPluginMayWaitForBeingConfigured(t *testing.T) {
	p := plugins.Provide("p", func(struct{}) (*box, error) { return &box{}, nil }, plugins.WhenConfigured())
	nothing := func(*plugins.Policy, any) error { return nil }
	for _, c := range []struct {
		about string
		s     settings
		in    bool
	}{
		{"no section", settings{}, false},
		{"the section of another", settings{"q": nothing}, false},
		{"an empty section", settings{"p": nothing}, true},
		{"a section that says no", settings{"p": off}, false},
	} {
		assert.Equal(t, c.in, one(t, c.s, p).Plugin != nil, c.about)
		policy, err := p.Settle(c.s)
		require.NoError(t, err)
		assert.Equal(t, c.in, policy.Enabled, c.about)
	}
}

var errNoDisk = errors.New("no disk")

func failing() map[string]func(struct{}) (*box, error) {
	return map[string]func(struct{}) (*box, error){
		"no disk":                      func(struct{}) (*box, error) { return &box{}, errNoDisk },
		"panic: boom":                  func(struct{}) (*box, error) { panic("boom") },
		"the constructor returned nil": func(struct{}) (*box, error) { return nil, nil },
	}
}

func TestARequiredPluginThatFailsKeepsTheAppFromStarting(t *testing.T) {
	for want, construct := range failing() {
		_, err := assemble(t, settings{}, plugins.Provide("p", construct))
		assert.ErrorContains(t, err, `plugin "p": cannot construct it: `+want)
	}
	_, err := assemble(t, settings{}, plugins.Provide("p", failing()["no disk"]))
	assert.ErrorIs(t, err, errNoDisk)
}

func TestAnOptionalPluginThatFailsIsRegisteredWithItsError(t *testing.T) {
	for want, construct := range failing() {
		r := one(t, settings{}, plugins.Provide("p", construct, plugins.Optional()))
		assert.Nil(t, r.Plugin)
		assert.ErrorContains(t, r.Err, `plugin "p": cannot construct it: `+want)
	}
}

func TestAPluginThatReturnsANilInterfaceFails(t *testing.T) {
	_, err := assemble(t, settings{}, plugins.Provide("p", func(struct{}) (plugins.ContainerPlugin, error) { return nil, nil }))
	assert.ErrorContains(t, err, "the constructor returned nil")
}

func TestMistakesInProvideNameThePlugin(t *testing.T) {
	construct := func(struct{}) (*box, error) { return &box{}, nil }
	for want, p := range map[string]*plugins.Provided{
		`plugin "": `: nil,
		`plugin "p": int implements none of the six plugin interfaces`: plugins.Provide("p", func(struct{}) (int, error) { return 0, nil }),
		`plugin "p": timeout -1s: must be positive`: plugins.Provide("p", construct,
			plugins.DefaultPolicyOf(func(p *plugins.Policy) { p.Timeout = -time.Second })),
		`plugin "a b" of `: plugins.Provide("a b", construct),
	} {
		if p == nil {
			want, p = `plugin "" of `, plugins.Provide("", construct)
		}
		assert.ErrorContains(t, p.Err(), want)
		_, err := assemble(t, settings{}, p)
		assert.ErrorContains(t, err, want)
	}
}

func TestASectionThatIsWrongKeepsTheAppFromStarting(t *testing.T) {
	refuse := settings{"p": func(*plugins.Policy, any) error { return errors.New("unknown key") }}
	p := plugins.Provide("p", func(struct{}) (*box, error) {
		t.Error("constructed")
		return nil, nil
	}, plugins.Optional())
	_, err := assemble(t, refuse, p)
	assert.ErrorContains(t, err, `plugin "p": unknown key`, "also of an optional plugin: it is the operator's mistake")
	_, err = p.Settle(refuse)
	assert.ErrorContains(t, err, `plugin "p": unknown key`)
}

func TestSettleTellsThePolicyWithoutConstructing(t *testing.T) {
	p := plugins.Provide("p", func(struct{}) (*box, error) {
		t.Error("constructed")
		return nil, nil
	}, plugins.Priority(3))
	policy, err := p.Settle(settings{"p": off})
	require.NoError(t, err)
	assert.Equal(t, plugins.Policy{Required: true, Priority: 3, Timeout: plugins.DefaultTimeout, OnError: plugins.Fail, Breaker: plugins.DefaultPolicy().Breaker}, policy)
	assert.True(t, p.Policy.Enabled, "what holds without a configuration stays as it is")
	assert.Equal(t, `plugins.Provide("p")`, fmt.Sprint(p))
}

func TestWhatAConfigurationNamesIsCheckedOnDemand(t *testing.T) {
	construct := func(l limits) (*box, error) { return &box{from: l.Max}, nil }
	check := func(l limits) error {
		if l.Max == 5 {
			return errNoDisk
		}
		return nil
	}
	p := plugins.Provide("p", construct, plugins.Defaults(limits{Max: 4}), plugins.Checked(check))
	require.NoError(t, p.Check(settings{}))
	five := settings{"p": func(_ *plugins.Policy, config any) error { config.(*limits).Max = 5; return nil }}
	assert.ErrorIs(t, p.Check(five), errNoDisk)
	assert.Equal(t, 5, one(t, five, p).Plugin.(*box).from, "and not with a start")
	require.NoError(t, p.Check(settings{"p": func(policy *plugins.Policy, config any) error {
		config.(*limits).Max = 5
		return off(policy, nil)
	}}), "nor of one that is left out")

	wrong := plugins.Provide("p", construct, plugins.Defaults(limits{}), plugins.Checked(func(int) error { return nil }))
	assert.ErrorContains(t, wrong.Err(), `plugin "p": it checks a int: give one to plugins.Defaults`)
}

func TestAMissingDependencyIsAnError(t *testing.T) {
	_, err := assemble(t, settings{}, plugins.Provide("p", func(*store) (*box, error) { return &box{}, nil }))
	assert.ErrorContains(t, err, "*plugins_test.store")
}

func TestOnErrorKnowsTwoWords(t *testing.T) {
	var o plugins.OnError
	require.NoError(t, o.UnmarshalText([]byte("ignore")))
	assert.Equal(t, plugins.Ignore, o)
	assert.ErrorContains(t, o.UnmarshalText([]byte("explode")), `use "fail" or "ignore"`)
	assert.True(t, strings.Contains(plugins.Policy{Timeout: 1, OnError: "x"}.Validate().Error(), `onError "x"`))
}

func TestTheRequestTravelsWithTheContext(t *testing.T) {
	assert.Zero(t, plugins.RequestFrom(t.Context()))
	want := plugins.Request{FrontEnd: plugins.FrontEndDocker, Name: "web", RemoteUser: "uid:0"}
	assert.Equal(t, want, plugins.RequestFrom(plugins.WithRequest(t.Context(), want)))
}
