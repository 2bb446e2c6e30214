package mapping

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Extra is what an OCI specification can say and a request of CRI cannot. As
// JSON it is kept with the container from its creation to its start.
type Extra struct {
	// Annotations to set, or to remove where there is no value.
	Annotations map[string]*string `json:"annotations,omitempty"`
	// Resources holds limits; what is nil or empty is left alone.
	Resources *specs.LinuxResources `json:"resources,omitempty"`
	// DeviceRules come after those that there are.
	DeviceRules []specs.LinuxDeviceCgroup `json:"deviceRules,omitempty"`
	// Rlimits replace those of the same type.
	Rlimits []specs.POSIXRlimit `json:"rlimits,omitempty"`
	// Sysctl are those of the namespaces that the container joins or has.
	Sysctl map[string]string `json:"sysctl,omitempty"`
	// Mounts replace those of the same destination.
	Mounts []specs.Mount `json:"mounts,omitempty"`
	// Seccomp is a profile in Docker's form, which depends on the container's
	// capabilities; empty leaves the runtime's.
	Seccomp string `json:"seccomp,omitempty"`
	// Umask is the one with which the container's process begins.
	Umask *uint32 `json:"umask,omitempty"`
	// ConsoleSize is the height and width of the terminal, in characters.
	ConsoleSize *[2]uint `json:"consoleSize,omitempty"`
}

// Empty tells whether there is nothing to edit.
func (e *Extra) Empty() bool { return e == nil || reflect.ValueOf(*e).IsZero() }

// Edit puts it into a specification. Once more changes nothing.
func (e *Extra) Edit(s *specs.Spec) error {
	if e.Empty() {
		return nil
	}
	process, linux := own(&s.Process), own(&s.Linux)
	for key, value := range e.Annotations {
		if value == nil {
			delete(s.Annotations, key)
			continue
		}
		put(&s.Annotations, key, *value)
	}
	for key, value := range e.Sysctl {
		put(&linux.Sysctl, key, value)
	}
	if e.Resources != nil {
		overlay(own(&linux.Resources), e.Resources)
	}
	for _, rule := range e.DeviceRules {
		resources := own(&linux.Resources)
		if !slices.ContainsFunc(resources.Devices, func(have specs.LinuxDeviceCgroup) bool { return reflect.DeepEqual(have, rule) }) {
			resources.Devices = append(resources.Devices, rule)
		}
	}
	for _, limit := range e.Rlimits {
		process.Rlimits = slices.DeleteFunc(process.Rlimits, func(have specs.POSIXRlimit) bool { return have.Type == limit.Type })
		process.Rlimits = append(process.Rlimits, limit)
	}
	for _, m := range e.Mounts {
		s.Mounts = withMount(s.Mounts, m)
	}
	if e.Umask != nil {
		process.User.Umask = e.Umask
	}
	if size := e.ConsoleSize; size != nil {
		process.ConsoleSize = &specs.Box{Height: size[0], Width: size[1]}
	}
	if e.Seccomp == "" {
		return nil
	}
	own(&process.Capabilities)
	profile, err := seccomp.LoadProfile(e.Seccomp, s)
	if err != nil {
		return fmt.Errorf("cannot use the seccomp profile of HostConfig.SecurityOpt: %w", err)
	}
	linux.Seccomp = profile
	return nil
}

func put(to *map[string]string, key, value string) {
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[key] = value
}

// withMount returns the mounts with m among them: in the place of the one of
// the same destination, or else before those that are below it.
func withMount(mounts []specs.Mount, m specs.Mount) []specs.Mount {
	destination := path.Clean(m.Destination)
	at := slices.IndexFunc(mounts, func(have specs.Mount) bool { return path.Clean(have.Destination) == destination })
	if at >= 0 {
		mounts = slices.Clone(mounts)
		mounts[at] = m
		return mounts
	}
	at = slices.IndexFunc(mounts, func(have specs.Mount) bool { return strings.HasPrefix(path.Clean(have.Destination), destination+"/") })
	if at < 0 {
		at = len(mounts)
	}
	return slices.Insert(slices.Clone(mounts), at, m)
}

// overlay sets what is set in src, and returns dst.
func overlay[T any](dst, src *T) *T {
	overlayFields(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem())
	return dst
}

func overlayFields(dst, src reflect.Value) {
	for i := range src.NumField() {
		d, s := dst.Field(i), src.Field(i)
		switch {
		case s.IsZero():
		case s.Kind() != reflect.Pointer || s.Elem().Kind() != reflect.Struct:
			d.Set(s)
		case !s.Elem().IsZero():
			if d.IsNil() {
				d.Set(reflect.New(s.Type().Elem()))
			}
			overlayFields(d.Elem(), s.Elem())
		}
	}
}
