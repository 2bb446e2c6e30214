package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Config is the section of a moody plugin.
type Config struct {
	// Record is a file to which each call appends a line.
	Record string `yaml:"record"`
	// Moods maps a hook that has no argument to read a mood from to its mood.
	Moods map[string]string `yaml:"moods"`
	// Hooks are the runtime hooks that it wants.
	Hooks []Hook `yaml:"hooks"`
}

// Hook is a runtime hook.
type Hook struct {
	Priority int      `yaml:"priority"`
	Args     []string `yaml:"args"`
}

// moody does in each hook what the test asks for: by the label "moody" of a
// container or volume, by a name, or by its configuration. A mood is
// "error", "panic", "hang", "nil" or "garbage".
type moody struct {
	plugins.ContainerBase
	name   string
	config Config
}

func newMoody(name string) func(Config) (*moody, error) {
	return func(c Config) (*moody, error) {
		m := &moody{name: name, config: c}
		return m, m.feel("New", c.Moods["New"], func() {})
	}
}

// feel records the call and has the mood; late is what a hook that hangs goes
// on to write when everybody has given up on it.
func (m *moody) feel(hook, mood string, late func()) error {
	if m.config.Record != "" {
		f, err := os.OpenFile(m.config.Record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		fmt.Fprintln(f, m.name, hook)
		f.Close()
	}
	switch mood {
	case "error":
		return fmt.Errorf("moody today: %w", errdefs.ErrPermissionDenied)
	case "panic":
		panic("moody panics")
	case "hang":
		for range 100 {
			time.Sleep(50 * time.Millisecond)
			late()
		}
	}
	return nil
}

// mood reads "PreCreate:panic" from a label. The second plugin has none.
func (m *moody) mood(labels map[string]string, hook string) string {
	if m.name != "moody" {
		return ""
	}
	for want := range strings.FieldsSeq(labels["moody"]) {
		if h, how, ok := strings.Cut(want, ":"); ok && h == hook {
			return how
		}
	}
	return ""
}

func (m *moody) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	how := m.mood(c.Labels, "PreCreate")
	c.Env = append(c.Env, "SEEN_BY_"+strings.ToUpper(m.name)+"=1")
	if secret := c.Labels["shared-secret"]; secret != "" { // both write it
		c.Env = slices.DeleteFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "SECRET=") })
		c.Env = append(c.Env, "SECRET="+m.name+"-"+os.Getenv("E2E_SECRET"))
	}
	switch how {
	case "nil":
		c.HostConfig = nil
	case "garbage":
		c.HostConfig.Memory = 1
	}
	return m.feel("PreCreate", how, func() { c.Env = append(c.Env, "LATE=1") })
}

// UndoPreCreate implements plugins.CreateUndoer.
func (m *moody) UndoPreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	return m.feel("UndoPreCreate", m.mood(c.Labels, "UndoPreCreate"), func() {})
}

func (m *moody) PreCreateContainer(_ context.Context, c *types.ContainerCreateConfig, _ interface{}) error {
	how := m.mood(c.Labels, "PreCreateContainer")
	if how == "nil" {
		c.HostConfig = nil
	}
	return m.feel("PreCreateContainer", how, func() { c.Env = append(c.Env, "LATE=1") })
}

func (m *moody) PreStart(_ context.Context, v interface{}) ([]int, [][]string, error) {
	c := v.(*types.Container)
	how := m.mood(c.Config.Labels, "PreStart")
	c.Config.Env = append(c.Config.Env, "STARTED_BY_"+strings.ToUpper(m.name)+"=1")
	c.Annotations["moody"] = m.name
	switch how {
	case "nil":
		return []int{1, 2}, [][]string{{"/bin/true"}}, nil
	case "garbage":
		return []int{1}, [][]string{{"relative"}}, nil
	}
	err := m.feel("PreStart", how, func() { c.Config.Env = append(c.Config.Env, "LATE=1") })
	var priorities []int
	var args [][]string
	for _, h := range m.config.Hooks {
		priorities, args = append(priorities, h.Priority), append(args, h.Args)
	}
	return priorities, args, err
}

func (m *moody) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	how := m.nameMood(plugins.RequestFrom(ctx).Name, "preupdate")
	switch how {
	case "nil":
		return nil, nil
	case "garbage":
		return io.NopCloser(strings.NewReader(`{"Memory": "much"}`)), nil
	case "hang":
		return hangingReader{}, nil
	}
	return body, m.feel("PreUpdate", how, func() {})
}

func (m *moody) PostUpdate(ctx context.Context, rootfs string, env []string) error {
	if _, err := os.Stat(rootfs + "/bin/box"); err != nil {
		return err
	}
	if err := os.WriteFile(rootfs+"/tmp/updated", []byte(strings.Join(env, "\n")), 0o644); err != nil {
		return err
	}
	return m.feel("PostUpdate", m.nameMood(plugins.RequestFrom(ctx).Name, "postupdate"), func() {})
}

// nameMood reads a mood from a name such as "preupdate-panic".
func (m *moody) nameMood(name, hook string) string {
	parts := strings.Split(name, "-")
	if m.name == "moody" && len(parts) > 1 && parts[0] == hook {
		return parts[1]
	}
	return ""
}

func (m *moody) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	m.feel("UpdateHandler", m.config.Moods["UpdateHandler"], func() {})
	switch m.config.Moods["UpdateHandler"] {
	case "nil":
		return append(routes, types.NewHandlerSpec("GET", "/moody", nil))
	case "garbage":
		return append(routes, types.NewHandlerSpec("GET", "/version", serveMood))
	}
	return append(routes, types.NewHandlerSpec("GET", "/"+m.name, serveMood))
}

func serveMood(_ context.Context, rw http.ResponseWriter, r *http.Request) error {
	switch r.URL.Query().Get("mood") {
	case "panic":
		panic("moody handler")
	case "error":
		return fmt.Errorf("moody handler: %w", errdefs.ErrPermissionDenied)
	}
	_, err := io.WriteString(rw, "moody\n")
	return err
}

func (m *moody) PostPull(_ context.Context, snapshotter string, image containerd.Image) error {
	if snapshotter == "" {
		return errors.New("no snapshotter")
	}
	if _, err := image.Size(context.Background()); err != nil {
		return fmt.Errorf("the image outlives the request: %w", err)
	}
	how := ""
	if _, after, ok := strings.Cut(image.Name(), "moody-"); ok && m.name == "moody" {
		how, _, _ = strings.Cut(after, ":")
	}
	return m.feel("PostPull", how, func() {})
}

func (m *moody) PreVolumeCreate(_ context.Context, v *types.VolumeCreateConfig) error {
	how := m.mood(v.Labels, "PreVolumeCreate")
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	v.Labels["seen"] = m.name
	if how == "garbage" {
		v.Name = "../../escape"
	}
	return m.feel("PreVolumeCreate", how, func() { v.Labels["late"] = "1" })
}

func (m *moody) PreStartHook() error {
	return m.feel("PreStartHook", m.config.Moods["PreStartHook"], func() {})
}

func (m *moody) PreStopHook() error {
	return m.feel("PreStopHook", m.config.Moods["PreStopHook"], func() {})
}

// hangingReader never answers.
type hangingReader struct{}

func (hangingReader) Read([]byte) (int, error) { time.Sleep(time.Minute); return 0, io.EOF }
func (hangingReader) Close() error             { return nil }
