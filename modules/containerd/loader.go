package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"

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
	cancel context.CancelFunc
}

// load starts all plugins. Unlike the stock containerd it does not go on
// without a plugin that fails. The plugins live until close, whatever happens
// to ctx.
func (l *loader) load(ctx context.Context) (err error) {
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.set = plugin.NewPluginSet()
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	var servers []interface{ Start(context.Context) error }
	for _, r := range registry.Graph(func(*plugin.Registration) bool { return false }) {
		p, err := l.init(ctx, r)
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
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) init(ctx context.Context, r plugin.Registration) (*plugin.Plugin, error) {
	id := r.URI()
	ic := plugin.NewContext(ctx, l.set, map[string]string{
		plugins.PropertyRootDir:      filepath.Join(l.root, id),
		plugins.PropertyStateDir:     filepath.Join(l.state, id),
		plugins.PropertyGRPCAddress:  l.address,
		plugins.PropertyTTRPCAddress: l.address,
	})
	ic.RegisterReadiness = func() func() { return func() {} }
	if r.Config != nil {
		// Registrations are process-wide: without a copy the settings of
		// one engine would reach the next one.
		defaults := reflect.ValueOf(r.Config).Elem()
		config := reflect.New(defaults.Type())
		config.Elem().Set(defaults)
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
	}
	p := r.Init(ic)
	return p, l.set.Add(p)
}

// context lets a client find the plugins.
func (l *loader) context(ctx context.Context) *plugin.InitContext {
	return plugin.NewContext(ctx, l.set, nil)
}

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
