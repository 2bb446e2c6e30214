package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds the configuration file, in bytes.
const maxFileSize = 1 << 20

// Load reads the configuration: the file over the defaults, environ (as
// os.Environ gives it) over the file, and the flags that were given over both.
// An empty file means DefaultFile, which need not exist; flags may be nil.
//
// The error joins everything that is wrong.
func Load(file string, environ []string, flags *pflag.FlagSet) (*Config, error) {
	c := new(Default())
	c.origin = map[string]string{}
	var errs []error
	text, name, err := read(file)
	if err != nil {
		return nil, err
	}
	if err := c.file(name, text); err != nil {
		errs = append(errs, err)
	}
	if err := c.environment(environ); err != nil {
		errs = append(errs, err)
	}
	if err := c.flags(flags); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, c.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// read returns the text of the file and its name.
func read(file string) ([]byte, string, error) {
	name := file
	if name == "" {
		name = DefaultFile
	}
	f, err := os.Open(name)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, name, nil
	}
	if err != nil {
		return nil, name, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, name, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	if len(text) > maxFileSize {
		return nil, name, fmt.Errorf("configuration file %s: it is larger than %d bytes", name, maxFileSize)
	}
	return text, name, nil
}

// file applies the text of a configuration file.
func (c *Config) file(name string, text []byte) error {
	root, err := parse(name, text)
	if err != nil || root == nil {
		return err
	}
	d := &decoder{source: name}
	d.pairs(root, "", func(key, value *yaml.Node) {
		switch key.Value {
		case "plugins":
			c.sections = d.sections(value)
			return
		case "cri":
			d.decode(value, "cri", reflect.ValueOf(&c.CRI).Elem())
			c.locate(name, "cri", value)
			return
		case "conflicts":
			d.decode(value, "conflicts", reflect.ValueOf(&c.OnConflict).Elem())
			return
		}
		for _, s := range settings {
			if s.key == key.Value {
				d.decode(value, s.key, reflect.ValueOf(s.field(c)).Elem())
				c.origin[s.key] = fmt.Sprintf("%s:%d: %s", name, value.Line, s.key)
				return
			}
		}
		d.unknown(key, "", keys())
	})
	return d.err()
}

// locate remembers where each key of a mapping is.
func (c *Config) locate(file, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := join(path, n.Content[i].Value)
		c.origin[key] = fmt.Sprintf("%s:%d: %s", file, n.Content[i+1].Line, key)
		c.locate(file, key, n.Content[i+1])
	}
}

// keys are those of the file's first level.
func keys() []string {
	known := []string{"plugins"}
	for _, s := range settings {
		known = append(known, s.key)
	}
	return append(known, "cri", "conflicts")
}

// environment applies the variables that begin with POUCHFX_. One that is
// nearly the name of a setting is an error; any other belongs to somebody else.
func (c *Config) environment(environ []string) error {
	known := map[string]setting{}
	var names []string
	for _, s := range settings {
		known[s.envName()] = s
		names = append(names, strings.TrimPrefix(s.envName(), envPrefix))
	}
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		origin := "environment variable " + name
		s, ok := known[name]
		if !ok {
			if near := nearest(strings.TrimPrefix(name, envPrefix), names); near != "" {
				errs = append(errs, fmt.Errorf("%s is unknown: did you mean %s?", origin, envPrefix+near))
			}
			continue
		}
		errs = append(errs, c.set(s, origin, strings.Split(value, ",")))
	}
	return errors.Join(errs...)
}

// flags applies the flags that were given.
func (c *Config) flags(flags *pflag.FlagSet) error {
	if flags == nil {
		return nil
	}
	var errs []error
	for _, s := range settings {
		f := flags.Lookup(s.flagName())
		if f == nil || !f.Changed {
			continue
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		errs = append(errs, c.set(s, "flag --"+s.flagName(), values))
	}
	return errors.Join(errs...)
}

// set gives a setting the value that the environment or a flag has for it.
func (c *Config) set(s setting, origin string, values []string) error {
	list, isList := s.field(c).(*[]string)
	if isList {
		*list = nil
		for _, v := range values {
			if v = strings.TrimSpace(v); v != "" {
				*list = append(*list, v)
			}
		}
		c.origin[s.key] = origin
		return nil
	}
	d := &decoder{source: origin}
	d.decode(&yaml.Node{Kind: yaml.ScalarNode, Value: strings.Join(values, ",")}, "", reflect.ValueOf(s.field(c)).Elem())
	c.origin[s.key] = origin
	return d.err()
}
