package mapping

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// applied makes the change that a hook makes, to a copy of the request.
func applied(t *testing.T, r *runtime.CreateContainerRequest, hook func(*types.ContainerCreateConfig)) (*runtime.CreateContainerRequest, Result, error) {
	t.Helper()
	own := proto.Clone(r).(*runtime.CreateContainerRequest)
	before, after, kept := Config(own), Config(own), Config(own)
	hook(after)
	result, err := Apply(own, before, after)
	assert.Equal(t, kept, before, "Apply changes its arguments")
	if err != nil {
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	}
	return own, result, err
}

// mustApply is applied to a request that can take the change.
func mustApply(t *testing.T, r *runtime.CreateContainerRequest, hook func(*types.ContainerCreateConfig)) (*runtime.CreateContainerRequest, Result) {
	t.Helper()
	got, result, err := applied(t, r, hook)
	require.NoError(t, err)
	return got, result
}

func TestAnEmptyRequestTakesChanges(t *testing.T) {
	got, result := mustApply(t, &runtime.CreateContainerRequest{}, func(c *types.ContainerCreateConfig) {
		c.Env = []string{"A=b"}
		c.Image = "busybox"
		c.User = "5:6"
		c.HostConfig.Memory = 1 << 30
		c.HostConfig.CapAdd = []string{"CAP_SYS_ADMIN"}
		c.HostConfig.Binds = []string{"/a:/b:ro,Z"}
		c.HostConfig.Sysctls = map[string]string{"net.core.somaxconn": "5"}
	})
	assert.True(t, result.Changed)
	assert.Equal(t, Extra{Sysctl: map[string]string{"net.core.somaxconn": "5"}}, result.Extra)
	want := &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{
		Image:  &runtime.ImageSpec{Image: "busybox", UserSpecifiedImage: "busybox"},
		Envs:   []*runtime.KeyValue{{Key: "A", Value: []byte("b")}},
		Mounts: []*runtime.Mount{{HostPath: "/a", ContainerPath: "/b", Readonly: true, SelinuxRelabel: true}},
		Linux: &runtime.LinuxContainerConfig{
			Resources: &runtime.LinuxContainerResources{MemoryLimitInBytes: 1 << 30},
			SecurityContext: &runtime.LinuxContainerSecurityContext{
				RunAsUser: &runtime.Int64Value{Value: 5}, RunAsGroup: &runtime.Int64Value{Value: 6},
				Capabilities: &runtime.Capability{AddCapabilities: []string{"SYS_ADMIN"}},
			},
		},
	}}
	assert.True(t, proto.Equal(want, got), "%v", got)
}
