package images

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/sys/signal"
)

// maxChanges bounds what docker commit and import get with --change, in bytes.
const maxChanges = 64 << 10

// changeable are the instructions of a Dockerfile that change an image's
// configuration and nothing else, as dockerd has them.
var changeable = []string{"cmd", "entrypoint", "healthcheck", "env", "expose", "label", "onbuild", "stopsignal", "user", "volume", "workdir"}

// applyChanges does to a configuration what instructions of a Dockerfile say.
func applyChanges(config *dockerspec.DockerOCIImageConfig, changes []string) error {
	text := strings.Join(changes, "\n")
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if len(text) > maxChanges {
		return badChange(fmt.Errorf("they have %d bytes, they may have %d", len(text), maxChanges))
	}
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return badChange(err)
	}
	lex := shell.NewLex(parsed.EscapeToken)
	c := newChanging(config)
	for _, node := range parsed.AST.Children {
		if name := strings.ToLower(node.Value); !slices.Contains(changeable, name) {
			return badChange(fmt.Errorf("%s is not a valid change command: use one of %s", name, strings.ToUpper(strings.Join(changeable, ", "))))
		}
		command, err := instructions.ParseCommand(node)
		if err != nil {
			return badChange(err)
		}
		if e, ok := command.(instructions.SupportsSingleWordExpansion); ok {
			err := e.Expand(func(word string) (string, error) {
				word, _, err := lex.ProcessWord(word, shell.EnvsFromSlice(config.Env))
				return word, err
			})
			if err != nil {
				return badChange(err)
			}
		}
		if err := c.apply(command); err != nil {
			return badChange(err)
		}
	}
	return nil
}

func badChange(err error) error {
	return errdefs.ErrInvalidArgument.WithMessage("cannot apply the changes: " + err.Error())
}

// changing is a configuration on its way.
type changing struct {
	config *dockerspec.DockerOCIImageConfig
	cmdSet bool // by one of the changes
}

// newChanging begins to change a configuration whose maps others may share.
func newChanging(config *dockerspec.DockerOCIImageConfig) *changing {
	config.Labels = copied(config.Labels)
	config.ExposedPorts = copied(config.ExposedPorts)
	config.Volumes = copied(config.Volumes)
	return &changing{config: config}
}

// copied is a copy of a map that can be written to.
func copied[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m))
	maps.Copy(c, m)
	return c
}

func (c *changing) apply(command instructions.Command) error {
	switch i := command.(type) {
	case *instructions.EnvCommand:
		for _, e := range i.Env {
			c.env(e.Key, e.Value)
		}
	case *instructions.LabelCommand:
		for _, l := range i.Labels {
			c.config.Labels[l.Key] = l.Value
		}
	case *instructions.ExposeCommand:
		return c.expose(i.Ports)
	case *instructions.UserCommand:
		c.config.User = i.User
	case *instructions.WorkdirCommand:
		c.config.WorkingDir = path.Clean(path.Join("/", c.config.WorkingDir, i.Path))
		if path.IsAbs(i.Path) {
			c.config.WorkingDir = path.Clean(i.Path)
		}
	case *instructions.VolumeCommand:
		for _, v := range i.Volumes {
			if v = strings.TrimSpace(v); v == "" {
				return fmt.Errorf("VOLUME specified can not be an empty string")
			}
			c.config.Volumes[v] = struct{}{}
		}
	case *instructions.CmdCommand:
		c.config.Cmd, c.cmdSet = c.line(i.ShellDependantCmdLine), true
	case *instructions.EntrypointCommand:
		c.config.Entrypoint = c.line(i.ShellDependantCmdLine)
		if !c.cmdSet { // it was for the other entry point
			c.config.Cmd = nil
		}
	case *instructions.HealthCheckCommand:
		c.config.Healthcheck = i.Health
	case *instructions.OnbuildCommand:
		c.config.OnBuild = append(slices.Clone(c.config.OnBuild), i.Expression)
	case *instructions.StopSignalCommand:
		if _, err := signal.ParseSignal(i.Signal); err != nil {
			return err
		}
		c.config.StopSignal = i.Signal
	}
	return nil
}

// line is a command, which the image's shell runs unless it is a JSON array.
func (c *changing) line(l instructions.ShellDependantCmdLine) []string {
	if !l.PrependShell {
		return l.CmdLine
	}
	shell := c.config.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), strings.Join(l.CmdLine, " "))
}

func (c *changing) env(key, value string) {
	c.config.Env = slices.DeleteFunc(slices.Clone(c.config.Env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == key
	})
	c.config.Env = append(c.config.Env, key+"="+value)
}

func (c *changing) expose(ports []string) error {
	for _, text := range ports {
		published, err := network.ParsePortRange(text)
		if err != nil {
			return fmt.Errorf("EXPOSE %s: %w", text, err)
		}
		for port := range published.All() {
			c.config.ExposedPorts[port.String()] = struct{}{}
		}
	}
	return nil
}
