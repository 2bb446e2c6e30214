package nri

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/containerd/nri/pkg/api"

	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// hooksKey is the annotation that keeps with a container the hooks of its NRI
// plugins. Only this plugin may write it: they run as root, on the host.
const hooksKey = "pouchfx.nri/hooks"

// hook is one program that the runtime runs before the container's process.
type hook struct {
	Path string   `json:"path"`
	Args []string `json:"args,omitempty"` // with argv[0]
}

// refuseForged refuses hooks that a client brings.
func refuseForged(annotations ...map[string]string) error {
	for _, a := range annotations {
		if _, ok := a[hooksKey]; ok {
			return errdefs.ErrPermissionDenied.WithMessage("the annotation " + hooksKey + " is the daemon's own: leave it out")
		}
	}
	return nil
}

// keepHooks writes the hooks into the configuration.
func (p *Plugin) keepHooks(c *types.ContainerCreateConfig, h *api.Hooks) error {
	var kept []hook
	for _, asked := range slices.Concat(h.GetPrestart(), h.GetCreateRuntime()) { // both run in the runtime's namespace
		if len(asked.Env) > 0 || asked.Timeout != nil {
			return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("an NRI plugin asks for the hook %s with environment or timeout: hooks have neither", asked.Path))
		}
		if err := p.allowed(asked.Path); err != nil {
			return err
		}
		kept = append(kept, hook{asked.Path, asked.Args})
	}
	if kept == nil {
		return nil
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if c.SpecAnnotation == nil {
		c.SpecAnnotation = map[string]string{}
	}
	c.SpecAnnotation[hooksKey] = string(text)
	return nil
}

// hooks returns those of a container as PreStart does: after the network is
// there.
func (p *Plugin) hooks(annotations map[string]string) (priorities []int, args [][]string, err error) {
	text, ok := annotations[hooksKey]
	if !ok {
		return nil, nil, nil
	}
	var kept []hook
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return nil, nil, fmt.Errorf("the annotation %s: %w", hooksKey, err)
	}
	for _, h := range kept {
		if err := p.allowed(h.Path); err != nil {
			return nil, nil, err
		}
		priorities = append(priorities, 0)
		args = append(args, append([]string{h.Path}, h.Args...))
	}
	return priorities, args, nil
}

// allowed reports a program that no pattern of the configuration allows.
func (p *Plugin) allowed(program string) error {
	if path.IsAbs(program) && path.Clean(program) == program &&
		slices.ContainsFunc(p.config.Hooks, func(allowed *when.Pattern) bool {
			return (&when.When{Name: allowed}).Matches(when.Object{Name: program})
		}) {
		return nil
	}
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("an NRI plugin has the hook %s run on the host: allow it with plugins.nri.hooks", program))
}
