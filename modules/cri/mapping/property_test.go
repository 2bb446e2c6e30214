package mapping

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// encoded is the message as bytes, the same for the same message.
func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	require.NoError(t, err)
	return b
}

const requests = 100

func TestWhatNobodyChangesIsAsItWas(t *testing.T) {
	for seed := range uint64(requests) {
		r := anyRequest(seed)
		for _, hook := range []func(*types.ContainerCreateConfig){
			func(*types.ContainerCreateConfig) {},
			func(c *types.ContainerCreateConfig) { c.OnBuild = []string{} }, // none, in other words
		} {
			got, result := mustApply(t, r, hook)
			require.Zero(t, result, "seed %d", seed)
			require.Equal(t, encoded(t, r), encoded(t, got), "seed %d", seed)
		}
	}
}

// A plugin may keep a configuration as JSON, which has no bytes, and may make
// lists of none.
func TestACopyThroughJSONChangesNothing(t *testing.T) {
	for seed := range uint64(requests) {
		r := anyRequest(seed)
		got, result := mustApply(t, r, func(c *types.ContainerCreateConfig) {
			text, err := json.Marshal(c)
			require.NoError(t, err)
			*c = types.ContainerCreateConfig{}
			require.NoError(t, json.Unmarshal(text, c))
		})
		require.Zero(t, result, "seed %d", seed)
		require.Equal(t, encoded(t, r), encoded(t, got), "seed %d", seed)
	}
}

// Each change is undone in the message by hand: then nothing else of it may
// differ from what kubelet sent, the unknown fields at every depth among them.
func TestAChangeTouchesNothingElse(t *testing.T) {
	for name, change := range map[string]struct {
		hook func(*types.ContainerCreateConfig)
		undo func(r, original *runtime.CreateContainerRequest)
	}{
		"env": {
			func(c *types.ContainerCreateConfig) { c.Env = slices.Insert(c.Env, 0, "NEW=1") },
			func(r, _ *runtime.CreateContainerRequest) { r.Config.Envs = r.Config.Envs[1:] },
		},
		"image": {
			func(c *types.ContainerCreateConfig) { c.Image = "other" },
			func(r, o *runtime.CreateContainerRequest) {
				r.Config.Image.Image, r.Config.Image.UserSpecifiedImage = o.Config.GetImage().GetImage(), o.Config.GetImage().GetUserSpecifiedImage()
			},
		},
		"label": {
			func(c *types.ContainerCreateConfig) { c.Labels = map[string]string{"l": "1"} },
			func(r, o *runtime.CreateContainerRequest) { r.Config.Labels = o.Config.GetLabels() },
		},
		"mount": {
			func(c *types.ContainerCreateConfig) {
				c.HostConfig.Mounts = append(c.HostConfig.Mounts, mount.Mount{Type: mount.TypeBind, Source: "/s", Target: "/new"})
			},
			func(r, _ *runtime.CreateContainerRequest) {
				r.Config.Mounts = r.Config.Mounts[:len(r.Config.Mounts)-1]
			},
		},
		"changed mount": {
			func(c *types.ContainerCreateConfig) {
				for i := range c.HostConfig.Mounts {
					if m := &c.HostConfig.Mounts[i]; m.Type == mount.TypeBind {
						m.ReadOnly, m.BindOptions.Propagation = !m.ReadOnly, "rslave"
					}
				}
			},
			func(r, o *runtime.CreateContainerRequest) {
				for i, m := range r.Config.GetMounts() {
					m.Readonly, m.Propagation = o.Config.Mounts[i].Readonly, o.Config.Mounts[i].Propagation
				}
			},
		},
		"device": {
			func(c *types.ContainerCreateConfig) {
				c.HostConfig.Devices = append(c.HostConfig.Devices, container.DeviceMapping{PathOnHost: "/dev/new"})
			},
			func(r, _ *runtime.CreateContainerRequest) {
				r.Config.Devices = r.Config.Devices[:len(r.Config.Devices)-1]
			},
		},
		"memory": {
			func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 5 << 30 },
			func(r, o *runtime.CreateContainerRequest) {
				r.Config.Linux.Resources.MemoryLimitInBytes = o.Config.GetLinux().GetResources().GetMemoryLimitInBytes()
			},
		},
		"user": {
			func(c *types.ContainerCreateConfig) { c.User = "77:78" },
			func(r, o *runtime.CreateContainerRequest) {
				s, was := r.Config.Linux.SecurityContext, o.Config.GetLinux().GetSecurityContext()
				s.RunAsUsername = was.GetRunAsUsername()
				restore(&s.RunAsUser, was.GetRunAsUser())
				restore(&s.RunAsGroup, was.GetRunAsGroup())
			},
		},
		"seccomp": {
			func(c *types.ContainerCreateConfig) {
				c.HostConfig.Privileged = false
				c.HostConfig.SecurityOpt = []string{"seccomp=/new.json", "no-new-privileges"}
			},
			func(r, o *runtime.CreateContainerRequest) {
				s, was := r.Config.Linux.SecurityContext, o.Config.GetLinux().GetSecurityContext()
				require.Equal(t, runtime.SecurityProfile_Localhost, s.Seccomp.ProfileType)
				require.Equal(t, "/new.json", s.Seccomp.LocalhostRef)
				s.Privileged, s.NoNewPrivs, s.Seccomp = was.GetPrivileged(), was.GetNoNewPrivs(), was.GetSeccomp()
				//lint:ignore SA1019 what was there is there again
				s.Apparmor, s.ApparmorProfile, s.SelinuxOptions = was.GetApparmor(), was.GetApparmorProfile(), was.GetSelinuxOptions()
			},
		},
		"cgroup parent": {
			func(c *types.ContainerCreateConfig) { c.HostConfig.CgroupParent = "/new" },
			func(r, o *runtime.CreateContainerRequest) {
				r.SandboxConfig.Linux.CgroupParent = o.SandboxConfig.GetLinux().GetCgroupParent()
			},
		},
	} {
		for seed := range uint64(requests / 3) {
			r := anyRequest(seed)
			got, _, err := applied(t, r, change.hook)
			require.NoError(t, err, "%s, seed %d", name, seed)
			change.undo(got, r)
			// Messages that had to be made are empty now.
			want := proto.Clone(r).(*runtime.CreateContainerRequest)
			for _, m := range []proto.Message{got, want} {
				complete(m.(*runtime.CreateContainerRequest))
			}
			assert.Equal(t, encoded(t, want), encoded(t, got), "%s, seed %d", name, seed)
		}
	}
}

func restore(to **runtime.Int64Value, was *runtime.Int64Value) {
	if was == nil {
		*to = nil
	} else {
		(*to).Value = was.Value
	}
}

// complete makes the messages that a change may have to make.
func complete(r *runtime.CreateContainerRequest) {
	config := own(&r.Config)
	own(&config.Image)
	linux := own(&config.Linux)
	own(&linux.Resources)
	own(&linux.SecurityContext)
	own(&own(&r.SandboxConfig).Linux)
}
