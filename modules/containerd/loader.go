package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"sync"

	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"
)

// loader starts the registered plugins of containerd in the order of their
// dependencies and closes them in reverse.
type loader struct {
	root, state string         // each plugin gets a folder in both
	address     string         // of the ttrpc server; also hashed into the names of shim sockets
	config      map[string]any // by plugin URI; laid over the plugin's defaults

	set    *plugin.Set
	ready  []<-chan struct{} // closed by plugins that get ready after their start
	ctx    context.Context   // of the plugins, until close
	cancel context.CancelFunc
}

// begin makes the loader ready to load. The plugins live until close, whatever
// happens to ctx.
func (l *loader) begin(ctx context.Context) {
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.set = plugin.NewPluginSet()
}

// load starts the plugins that choose picks; what they need and it does not
// pick was loaded before. Unlike the stock containerd it does not go on without
// a plugin that fails.
func (l *loader) load(choose func(*plugin.Registration) bool) error {
	var servers []interface{ Start(context.Context) error }
	for _, r := range registry.Graph(func(r *plugin.Registration) bool { return !choose(r) }) {
		p, err := l.init(r)
		if err != nil {
			return err
		}
		instance, err := p.Instance()
		if plugin.IsSkipPlugin(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("%s: %w", r.URI(), err)
		}
		if s, ok := instance.(interface{ Start(context.Context) error }); ok && r.Type == plugins.ServerPlugin {
			servers = append(servers, s)
		}
	}
	for _, s := range servers {
		if err := s.Start(l.ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) init(r plugin.Registration) (*plugin.Plugin, error) {
	id := r.URI()
	ic := plugin.NewContext(l.ctx, l.set, map[string]string{
		plugins.PropertyRootDir:      filepath.Join(l.root, id),
		plugins.PropertyStateDir:     filepath.Join(l.state, id),
		plugins.PropertyGRPCAddress:  l.address,
		plugins.PropertyTTRPCAddress: l.address,
	})
	ic.RegisterReadiness = func() func() {
		ready := make(chan struct{})
		l.ready = append(l.ready, ready)
		return sync.OnceFunc(func() { close(ready) })
	}
	if r.Config != nil {
		// Registrations are process-wide: without a copy the settings of
		// one engine would reach the next one.
		registered := reflect.ValueOf(r.Config).Elem()
		config := reflect.New(registered.Type())
		config.Elem().Set(clone(registered))
		if c, ok := l.config[id]; ok {
			text, err := toml.Marshal(c)
			if err == nil {
				err = toml.Unmarshal(text, config.Interface())
			}
			if err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", id, err)
			}
		}
		ic.Config = config.Interface()
		// CRI's images look at their registration instead of what they are given.
		defaults := clone(registered)
		registered.Set(config.Elem())
		defer registered.Set(defaults)
	}
	p := r.Init(ic)
	return p, l.set.Add(p)
}

// clone copies a configuration with all that it refers to.
func clone(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(clone(v.Field(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			c.Set(reflect.MakeMap(v.Type()))
			for key, value := range v.Seq2() {
				c.SetMapIndex(key, clone(value))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				c.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			element := clone(v.Elem())
			if v.Kind() == reflect.Pointer {
				c.Set(reflect.New(element.Type()))
				c.Elem().Set(element)
			} else {
				c.Set(element)
			}
		}
	}
	return c
}

// context lets a client find the plugins.
func (l *loader) context() *plugin.InitContext { return plugin.NewContext(l.ctx, l.set, nil) }

// failure tells why a plugin is not there; nil when it is.
func (l *loader) failure(t plugin.Type, id string) error {
	p := l.set.Get(t, id)
	if p == nil {
		return fmt.Errorf("%s.%s: %w", t, id, plugin.ErrPluginNotFound)
	}
	return p.Err()
}

// close ends the plugins. Containers and their shims go on.
func (l *loader) close() error {
	l.cancel()
	var errs []error
	for _, p := range slices.Backward(l.set.GetAll()) {
		instance, err := p.Instance()
		if err != nil {
			continue
		}
		if c, ok := instance.(io.Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.Registration.URI(), err))
			}
		}
	}
	return errors.Join(errs...)
}
