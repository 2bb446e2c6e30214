//lint:file-ignore SA1019 older kubelets set the deprecated fields, and containerd heeds them

package mapping

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func secured(s *runtime.LinuxContainerSecurityContext) *runtime.CreateContainerRequest {
	return &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{Linux: &runtime.LinuxContainerConfig{SecurityContext: s}}}
}

func TestSecurityProfilesInDockersWords(t *testing.T) {
	at := func(path string) *runtime.SecurityProfile {
		return &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Localhost, LocalhostRef: path}
	}
	for _, c := range []struct {
		context *runtime.LinuxContainerSecurityContext
		want    []string
	}{
		{nil, []string{"seccomp=unconfined"}},
		{&runtime.LinuxContainerSecurityContext{Seccomp: &runtime.SecurityProfile{}}, nil},
		{&runtime.LinuxContainerSecurityContext{Seccomp: at("/p.json")}, []string{"seccomp=/p.json"}},
		{&runtime.LinuxContainerSecurityContext{SeccompProfilePath: "runtime/default"}, nil},
		{&runtime.LinuxContainerSecurityContext{SeccompProfilePath: "localhost//p.json", ApparmorProfile: "localhost/tight"},
			[]string{"seccomp=/p.json", "apparmor=tight"}},
		{&runtime.LinuxContainerSecurityContext{Seccomp: &runtime.SecurityProfile{}, Apparmor: at("localhost/tight"), NoNewPrivs: true,
			SelinuxOptions: &runtime.SELinuxOption{User: "u", Role: "r", Type: "t", Level: "s0:c1,c2"}},
			[]string{"no-new-privileges", "apparmor=tight", "label=user:u", "label=role:r", "label=type:t", "label=level:s0:c1,c2"}},
	} {
		r := secured(c.context)
		options := Config(r).HostConfig.SecurityOpt
		assert.Equal(t, c.want, options)
		// Another spelling is no change.
		_, result := mustApply(t, r, func(c *config) {
			for i, o := range options {
				if o == "no-new-privileges" {
					c.HostConfig.SecurityOpt[i] = "no-new-privileges=true"
				}
			}
		})
		assert.False(t, result.Changed)
	}
}

func TestSecurityOptionsInCRIsWords(t *testing.T) {
	confined := secured(&runtime.LinuxContainerSecurityContext{Seccomp: &runtime.SecurityProfile{}})
	for option, want := range map[string]*runtime.LinuxContainerSecurityContext{
		"seccomp=unconfined":      {Seccomp: &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Unconfined}},
		"seccomp:/p.json":         {Seccomp: &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Localhost, LocalhostRef: "/p.json"}},
		"no-new-privileges:true":  {Seccomp: &runtime.SecurityProfile{}, NoNewPrivs: true},
		"no-new-privileges:false": {Seccomp: &runtime.SecurityProfile{}},
		"apparmor=tight":          {Seccomp: &runtime.SecurityProfile{}, Apparmor: &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Localhost, LocalhostRef: "tight"}},
		"apparmor=unconfined":     {Seccomp: &runtime.SecurityProfile{}, Apparmor: &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Unconfined}},
		"label=type:spc_t":        {Seccomp: &runtime.SecurityProfile{}, SelinuxOptions: &runtime.SELinuxOption{Type: "spc_t"}},
		"label=disable":           nil, "systempaths=unconfined": nil, "seccomp": nil, "no-new-privileges=what": nil, "seccomp={": nil,
	} {
		got, _, err := applied(t, confined, func(c *config) { c.HostConfig.SecurityOpt = []string{option} })
		if want == nil {
			assert.ErrorContains(t, err, "HostConfig.SecurityOpt: ", option)
			continue
		}
		require.NoError(t, err, option)
		assert.Equal(t, encoded(t, secured(want)), encoded(t, got), option)
	}
	got, _ := mustApply(t, secured(&runtime.LinuxContainerSecurityContext{Seccomp: &runtime.SecurityProfile{ProfileType: runtime.SecurityProfile_Localhost, LocalhostRef: "/p"}}),
		func(c *config) { c.HostConfig.SecurityOpt = []string{"seccomp=unconfined"} })
	assert.Empty(t, got.Config.Linux.SecurityContext.Seccomp.LocalhostRef, "containerd wants none")
	// Back to the defaults.
	got, _ = mustApply(t, secured(&runtime.LinuxContainerSecurityContext{ApparmorProfile: "unconfined"}),
		func(c *config) { c.HostConfig.SecurityOpt = nil })
	assert.Equal(t, encoded(t, confined), encoded(t, got))
}

func TestAPrivilegedContainerHasNoProfileOfCRI(t *testing.T) {
	r := secured(&runtime.LinuxContainerSecurityContext{Privileged: true})
	_, _, err := applied(t, r, func(c *config) { c.HostConfig.SecurityOpt = []string{"seccomp=/p.json"} })
	assert.ErrorContains(t, err, "HostConfig.SecurityOpt: containerd gives a privileged container no seccomp profile")
}

func TestCapabilitiesLoseTheirPrefix(t *testing.T) {
	got, _ := mustApply(t, full(), func(c *config) {
		require.Equal(t, []string{"NET_ADMIN"}, c.HostConfig.CapAdd)
		c.HostConfig.CapAdd = append(c.HostConfig.CapAdd, "CAP_SYS_TIME", "sys_nice")
		c.HostConfig.CapDrop = nil
	})
	caps := got.Config.Linux.SecurityContext.Capabilities
	assert.Equal(t, []string{"NET_ADMIN", "SYS_TIME", "SYS_NICE"}, caps.AddCapabilities)
	assert.Empty(t, caps.DropCapabilities)
}
