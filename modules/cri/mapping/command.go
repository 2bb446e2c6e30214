package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// kubelet sends an image's id, as it has pulled it, and what the pod calls the
// image. Hooks decide by names.
func showImage(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	c.Image = ImageName(r.GetConfig().GetImage())
}

// ImageName is what the pod calls the image, or else what kubelet sends.
func ImageName(i *runtime.ImageSpec) string {
	if name := i.GetUserSpecifiedImage(); name != "" {
		return name
	}
	return i.GetImage()
}

// carryImage names another image, which has to be there: nobody pulls it.
func carryImage(c *change) {
	take(&c.edits, "Image", &c.before.Image, c.after.Image, func(name string) error {
		if name == "" {
			return errors.New("it must not be empty")
		}
		image := own(&c.config().Image)
		image.Image, image.UserSpecifiedImage = name, name
		return nil
	})
}

func showCommand(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	config := r.GetConfig()
	c.Entrypoint, c.Cmd, c.WorkingDir = slices.Clone(config.GetCommand()), slices.Clone(config.GetArgs()), config.GetWorkingDir()
	c.StopSignal = signalName(config.GetStopSignal())
}

func carryCommand(c *change) {
	b, a := c.before, c.after
	const withoutImages = "CRI cannot say that the image's is not to be used: give the command as Entrypoint"
	if a.Entrypoint != nil && len(a.Entrypoint) == 0 && (b.Entrypoint == nil || len(b.Entrypoint) > 0) {
		c.refuse("Entrypoint", withoutImages)
		b.Entrypoint = a.Entrypoint
	}
	take(&c.edits, "Entrypoint", &b.Entrypoint, a.Entrypoint, func(words []string) error {
		if len(words) == 1 && words[0] == "" { // what --entrypoint "" sends
			return errors.New(withoutImages)
		}
		c.config().Command = words
		return nil
	})
	take(&c.edits, "Cmd", &b.Cmd, a.Cmd, func(words []string) error {
		c.config().Args = words
		return nil
	})
	take(&c.edits, "WorkingDir", &b.WorkingDir, a.WorkingDir, func(dir string) error {
		if dir != "" && !strings.HasPrefix(dir, "/") {
			return fmt.Errorf("%q is not an absolute path", dir)
		}
		c.config().WorkingDir = dir
		return nil
	})
	take(&c.edits, "StopSignal", &b.StopSignal, a.StopSignal, func(name string) error {
		s, err := signal(name)
		if err != nil {
			return err
		}
		c.config().StopSignal = s
		return nil
	})
}

// CRI writes SIGRTMIN+3 as SIGNAL_SIGRTMINPLUS3.
var (
	toSignal   = strings.NewReplacer("+", "PLUS", "-", "MINUS")
	fromSignal = strings.NewReplacer("PLUS", "+", "MINUS", "-")
)

func signalName(s runtime.Signal) string {
	if s == runtime.Signal_SIGNAL_RUNTIME_DEFAULT {
		return ""
	}
	return fromSignal.Replace(strings.TrimPrefix(s.String(), "SIGNAL_"))
}

// signal reads a name, with or without SIG, or a number.
func signal(text string) (runtime.Signal, error) {
	if text == "" {
		return runtime.Signal_SIGNAL_RUNTIME_DEFAULT, nil
	}
	name := strings.ToUpper(text)
	if n, err := strconv.Atoi(text); err == nil {
		name = unix.SignalName(unix.Signal(n))
	}
	s, ok := runtime.Signal_value["SIGNAL_SIG"+toSignal.Replace(strings.TrimPrefix(name, "SIG"))]
	if !ok {
		return 0, fmt.Errorf("%q is no signal that CRI knows", text)
	}
	return runtime.Signal(s), nil
}

func showStreams(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	config := r.GetConfig()
	c.OpenStdin, c.StdinOnce, c.Tty = config.GetStdin(), config.GetStdinOnce(), config.GetTty()
}

func carryStreams(c *change) {
	for _, f := range []struct {
		name   string
		before *bool
		after  bool
		write  func(*runtime.ContainerConfig, bool)
	}{
		{"OpenStdin", &c.before.OpenStdin, c.after.OpenStdin, func(to *runtime.ContainerConfig, on bool) { to.Stdin = on }},
		{"StdinOnce", &c.before.StdinOnce, c.after.StdinOnce, func(to *runtime.ContainerConfig, on bool) { to.StdinOnce = on }},
		{"Tty", &c.before.Tty, c.after.Tty, func(to *runtime.ContainerConfig, on bool) { to.Tty = on }},
	} {
		take(&c.edits, f.name, f.before, f.after, func(on bool) error {
			f.write(c.config(), on)
			c.warn(f.name + " was changed, but kubelet attaches as the pod says")
			return nil
		})
	}
	take(&c.edits, "HostConfig.ConsoleSize", &c.before.HostConfig.ConsoleSize, c.after.HostConfig.ConsoleSize, func(size [2]uint) error {
		c.extra.ConsoleSize = &size
		return nil
	})
}
