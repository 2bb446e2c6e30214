package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

func showPrivileges(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	s, h := r.GetConfig().GetLinux().GetSecurityContext(), c.HostConfig
	h.Privileged, h.ReadonlyRootfs = s.GetPrivileged(), s.GetReadonlyRootfs()
	h.CapAdd, h.CapDrop = slices.Clone(s.GetCapabilities().GetAddCapabilities()), slices.Clone(s.GetCapabilities().GetDropCapabilities())
	h.MaskedPaths, h.ReadonlyPaths = slices.Clone(s.GetMaskedPaths()), slices.Clone(s.GetReadonlyPaths())
}

func carryPrivileges(c *change) {
	b, a := c.before.HostConfig, c.after.HostConfig
	take(&c.edits, "HostConfig.Privileged", &b.Privileged, a.Privileged, func(on bool) error {
		c.security().Privileged = on
		return nil
	})
	take(&c.edits, "HostConfig.ReadonlyRootfs", &b.ReadonlyRootfs, a.ReadonlyRootfs, func(on bool) error {
		c.security().ReadonlyRootfs = on
		return nil
	})
	for _, f := range []struct {
		name   string
		before *[]string
		after  []string
		write  func([]string)
	}{
		{"CapAdd", &b.CapAdd, a.CapAdd, func(names []string) { own(&c.security().Capabilities).AddCapabilities = names }},
		{"CapDrop", &b.CapDrop, a.CapDrop, func(names []string) { own(&c.security().Capabilities).DropCapabilities = names }},
	} {
		shown := *f.before
		take(&c.edits, "HostConfig."+f.name, f.before, f.after, func(names []string) error {
			names, err := capabilities(shown, names)
			if err == nil {
				f.write(names)
			}
			return err
		})
	}
	for _, f := range []struct {
		name   string
		before *[]string
		after  []string
		write  func([]string)
	}{
		{"MaskedPaths", &b.MaskedPaths, a.MaskedPaths, func(paths []string) { c.security().MaskedPaths = paths }},
		{"ReadonlyPaths", &b.ReadonlyPaths, a.ReadonlyPaths, func(paths []string) { c.security().ReadonlyPaths = paths }},
	} {
		take(&c.edits, "HostConfig."+f.name, f.before, f.after, func(paths []string) error {
			if paths == nil {
				return errors.New("CRI cannot ask for the default paths: name them, or use an empty list for none")
			}
			f.write(paths)
			return nil
		})
	}
}

// capabilities writes names as CRI does, without CAP_.
func capabilities(shown, names []string) (result []string, err error) {
	for _, name := range names {
		if !slices.Contains(shown, name) {
			name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
			if name != "ALL" && !slices.Contains(cap.Known(), "CAP_"+name) {
				return nil, fmt.Errorf("unknown capability %q", name)
			}
		}
		result = append(result, name)
	}
	return result, nil
}
