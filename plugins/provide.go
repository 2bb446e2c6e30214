package plugins

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"
)

// In marks a constructor's parameter object, as fx.In does: each of its
// fields is filled with a value of its type.
type In = fx.In

// The value groups, spelt for collecting. Providing spells them in groupTag.
type (
	// APIRegistrations collects the plugins of KindAPI, in no order.
	APIRegistrations struct {
		In
		All []*Registration `group:"plugins.api"`
	}
	// ContainerRegistrations collects the plugins of KindContainer.
	ContainerRegistrations struct {
		In
		All []*Registration `group:"plugins.container"`
	}
	// CriRegistrations collects the plugins of KindCri.
	CriRegistrations struct {
		In
		All []*Registration `group:"plugins.cri"`
	}
	// DaemonRegistrations collects the plugins of KindDaemon.
	DaemonRegistrations struct {
		In
		All []*Registration `group:"plugins.daemon"`
	}
	// ImageRegistrations collects the plugins of KindImage.
	ImageRegistrations struct {
		In
		All []*Registration `group:"plugins.image"`
	}
	// VolumeRegistrations collects the plugins of KindVolume.
	VolumeRegistrations struct {
		In
		All []*Registration `group:"plugins.volume"`
	}
)

func groupTag(k Kind) string { return `group:"plugins.` + string(k) + `"` }

// Option changes how a plugin is provided.
type Option func(*Provided)

// Priority orders the plugin among those of its kinds: the bigger comes first.
func Priority(n int) Option { return func(p *Provided) { p.Policy.Priority = n } }

// Before puts the plugin before others, by name, whatever the priorities.
func Before(names ...string) Option {
	return func(p *Provided) { p.Policy.Before = append(p.Policy.Before, names...) }
}

// After puts the plugin after others, by name, whatever the priorities. It may
// then overwrite what they wrote.
func After(names ...string) Option {
	return func(p *Provided) { p.Policy.After = append(p.Policy.After, names...) }
}

// Optional lets the daemon run, degraded, when the plugin fails to start.
func Optional() Option { return func(p *Provided) { p.Policy.Required = false } }

// WhenConfigured leaves the plugin out of a daemon whose configuration has no
// section of its name. An empty section puts it in, and one with the policy
// {enabled: false} leaves it out in spite of the rest.
func WhenConfigured() Option { return func(p *Provided) { p.whenConfigured = true } }

// DefaultPolicyOf changes the policy that holds where the configuration file says nothing.
func DefaultPolicyOf(change func(*Policy)) Option {
	return func(p *Provided) { change(&p.Policy) }
}

// Defaults gives the plugin a configuration: the constructor gets a value of
// this type, with the plugin's section of the configuration file decoded over
// config.
func Defaults(config any) Option { return func(p *Provided) { p.config = reflect.ValueOf(config) } }

// Checked has check look at a configuration of the type given to Defaults when
// an operator has the daemon's configuration checked: at what it names and does
// not hold, such as files. What is wrong with the configuration itself is for
// its Validate, which every start asks.
func Checked[C any](check func(C) error) Option {
	return func(p *Provided) {
		p.checks = reflect.TypeFor[C]()
		p.check = func(config reflect.Value) error { return check(config.Interface().(C)) }
	}
}

// Provided is a plugin as a build target lists it. It is an fx.Option, and
// tells what it is without a running app.
type Provided struct {
	fx.Option
	// Name is the plugin's name and that of its section of the configuration.
	Name string
	// Kinds are the interfaces it implements.
	Kinds []Kind
	// Policy holds where the configuration says nothing.
	Policy Policy
	// Origin is the constructor, with file and line.
	Origin string

	config         reflect.Value // the configuration's defaults; invalid when it takes none
	whenConfigured bool
	checks         reflect.Type // what check takes
	check          func(config reflect.Value) error
	err            error // why it cannot be provided
}

// Provide makes a plugin of a daemon from its constructor. P is a parameter
// object that embeds In, or a single type; a parameter of the type given to
// Defaults is the plugin's configuration and one of type *zap.Logger is a
// logger with the plugin's name. T implements at least one of the six
// interfaces, and the one instance serves all of them.
//
// What is wrong with the call is reported when the daemon is assembled or
// checked, with the name of the plugin.
func Provide[P, T any](name string, constructor func(P) (T, error), opts ...Option) *Provided {
	p := &Provided{
		Name:   name,
		Kinds:  kindsOf(reflect.TypeFor[T]()),
		Policy: DefaultPolicy(),
		Origin: functionOf(constructor),
	}
	for _, o := range opts {
		o(p)
	}
	switch {
	case name == "" || strings.ContainsAny(name, " \t\n\"/"):
		p.err = fmt.Errorf("plugin %q of %s: give it a name without spaces, slashes and quotes", name, p.Origin)
	case len(p.Kinds) == 0:
		p.err = fmt.Errorf("plugin %q: %s implements none of the six plugin interfaces: give it the methods of one, or embed plugins.ContainerBase or plugins.DaemonBase", name, reflect.TypeFor[T]())
	case p.check != nil && (!p.config.IsValid() || p.config.Type() != p.checks):
		p.err = fmt.Errorf("plugin %q: it checks a %v: give one to plugins.Defaults", name, p.checks)
	case p.Policy.Validate() != nil:
		p.err = fmt.Errorf("plugin %q: %w", name, p.Policy.Validate())
	}
	if p.err != nil {
		p.Option = fx.Error(p.err)
		return p
	}
	p.Option = fx.Provide(p.provider(reflect.ValueOf(constructor), reflect.TypeFor[P]()))
	return p
}

// Err reports a plugin that cannot be provided.
func (p *Provided) Err() error { return p.err }

// String names the plugin in fx's messages.
func (p *Provided) String() string { return fmt.Sprintf("plugins.Provide(%q)", p.Name) }

// Settle returns the effective policy, and reports what is wrong with the
// plugin's section of the configuration, without constructing it.
func (p *Provided) Settle(settings Settings) (Policy, error) {
	policy, _, err := p.settle(settings)
	return policy, err
}

// Check settles the plugin, and has it check what its configuration names.
func (p *Provided) Check(settings Settings) error {
	policy, config, err := p.settle(settings)
	if err != nil || !policy.Enabled || p.check == nil {
		return err
	}
	if err := p.check(config); err != nil {
		return fmt.Errorf("plugin %q: %w", p.Name, err)
	}
	return nil
}

func (p *Provided) settle(settings Settings) (Policy, reflect.Value, error) {
	policy := p.Policy
	if p.whenConfigured && !settings.Configured(p.Name) {
		policy.Enabled = false
	}
	var config reflect.Value
	var target any
	if p.config.IsValid() {
		config = reflect.New(p.config.Type()).Elem()
		config.Set(p.config)
		target = config.Addr().Interface()
	}
	err := settings.Plugin(p.Name, &policy, target)
	if err == nil {
		err = policy.Validate()
	}
	if err != nil {
		return policy, config, fmt.Errorf("plugin %q: %w", p.Name, err)
	}
	return policy, config, nil
}

// provider returns the function that fx calls. Its parameter object is the
// constructor's less what the plugin gets from its settings, its result object
// has one group member per kind. Both types depend on the constructor, hence
// reflect; a scope (fx.Module) for each plugin instead would make assembling a
// daemon quadratic in their number.
func (p *Provided) provider(constructor reflect.Value, param reflect.Type) any {
	in := p.newInput(param)
	fields := []reflect.StructField{{Name: "Out", Type: reflect.TypeFor[fx.Out](), Anonymous: true}}
	for _, k := range p.Kinds {
		fields = append(fields, reflect.StructField{
			Name: "Kind" + strings.ToUpper(string(k[:1])) + string(k[1:]),
			Type: reflect.TypeFor[*Registration](),
			Tag:  reflect.StructTag(groupTag(k)),
		})
	}
	out := reflect.StructOf(fields)
	signature := reflect.FuncOf([]reflect.Type{in.typ}, []reflect.Type{out, reflect.TypeFor[error]()}, false)
	return reflect.MakeFunc(signature, func(args []reflect.Value) []reflect.Value {
		r, err := p.register(constructor, in, args[0])
		members := reflect.New(out).Elem()
		failure := reflect.Zero(reflect.TypeFor[error]())
		if err != nil {
			failure = reflect.ValueOf(&err).Elem()
		}
		for i := range p.Kinds {
			members.Field(i + 1).Set(reflect.ValueOf(r))
		}
		return []reflect.Value{members, failure}
	}).Interface()
}

// register constructs the plugin as its policy says.
func (p *Provided) register(constructor reflect.Value, in *input, got reflect.Value) (*Registration, error) {
	r := &Registration{Name: p.Name, Kinds: p.Kinds, Origin: p.Origin}
	policy, config, err := p.settle(got.FieldByName(settingsField).Interface().(Settings))
	r.Policy = policy
	if err != nil {
		return r, err
	}
	if !policy.Enabled {
		return r, nil
	}
	r.Plugin, err = construct(constructor, in.param(got, config, p.Name))
	if err != nil {
		err = fmt.Errorf("plugin %q: cannot construct it: %w", p.Name, err)
		if policy.Required {
			return r, err
		}
		r.Plugin, r.Err = nil, err
	}
	return r, nil
}

func construct(constructor, param reflect.Value) (plugin any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	results := constructor.Call([]reflect.Value{param})
	if err, _ := results[1].Interface().(error); err != nil {
		return nil, err
	}
	if v := results[0]; (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return nil, fmt.Errorf("the constructor returned nil")
	}
	return results[0].Interface(), nil
}

const settingsField = "PluginSettings"

// input maps what fx can give onto what a constructor takes.
type input struct {
	typ    reflect.Type // what fx fills
	params reflect.Type // what the constructor takes
	object bool         // params embeds In
	config reflect.Type // nil when the plugin takes none
}

func (p *Provided) newInput(param reflect.Type) *input {
	in := &input{params: param, object: embedsIn(param)}
	if p.config.IsValid() {
		in.config = p.config.Type()
	}
	fields := []reflect.StructField{
		{Name: "In", Type: reflect.TypeFor[fx.In](), Anonymous: true},
		{Name: settingsField, Type: reflect.TypeFor[Settings]()},
	}
	if in.object {
		for f := range in.fields() {
			fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type, Tag: f.Tag})
		}
	} else if param != in.config && (param.Kind() != reflect.Struct || param.NumField() > 0) {
		fields = append(fields, reflect.StructField{Name: "Param", Type: param})
	}
	in.typ = reflect.StructOf(fields)
	return in
}

// fields yields the fields of a parameter object that fx fills.
func (in *input) fields() func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range in.params.NumField() {
			f := in.params.Field(i)
			if !f.IsExported() || f.Type == in.config || f.Type == reflect.TypeFor[fx.In]() {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// param makes the constructor's argument.
func (in *input) param(got, config reflect.Value, name string) reflect.Value {
	param := reflect.New(in.params).Elem()
	switch {
	case in.params == in.config:
		param.Set(config)
	case in.object:
		for f := range in.fields() {
			param.FieldByIndex(f.Index).Set(named(got.FieldByName(f.Name), name))
		}
		for i := range in.params.NumField() {
			if in.config != nil && in.params.Field(i).Type == in.config {
				param.Field(i).Set(config)
			}
		}
	default:
		if v := got.FieldByName("Param"); v.IsValid() {
			param.Set(named(v, name))
		}
	}
	return param
}

// named gives a logger the plugin's name.
func named(v reflect.Value, name string) reflect.Value {
	if log, ok := v.Interface().(*zap.Logger); ok && log != nil {
		return reflect.ValueOf(log.Named(name))
	}
	return v
}

func embedsIn(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.Type == reflect.TypeFor[fx.In]() {
			return true
		}
	}
	return false
}

// functionOf names a function with its file and line.
func functionOf(f any) string {
	fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if fn == nil {
		return "unknown"
	}
	file, line := fn.FileLine(fn.Entry())
	return fmt.Sprintf("%s (%s:%d)", fn.Name(), file, line)
}
