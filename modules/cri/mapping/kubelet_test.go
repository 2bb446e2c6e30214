package mapping

import (
	"os"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// sent is a request as kubelet sends it.
func sent(t *testing.T, name string) *runtime.CreateContainerRequest {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txtpb")
	require.NoError(t, err)
	r := &runtime.CreateContainerRequest{}
	require.NoError(t, prototext.Unmarshal(text, r))
	return r
}

func TestADeploymentsContainerInDockersWords(t *testing.T) {
	r := sent(t, "deployment")
	c := Config(r)
	h := c.HostConfig
	assert.Equal(t, "registry.k8s.io/e2e-test-images/agnhost:2.53", c.Image, "not its id")
	assert.Equal(t, []string{"/agnhost"}, c.Entrypoint)
	assert.Equal(t, []string{"netexec", "--http-port=8080"}, c.Cmd)
	assert.Equal(t, []string{"POD_IP=10.88.0.7", "MOTTO=a=b\nsecond line", "BLOB=\xff\xfe not text"}, c.Env[:3])
	assert.Equal(t, "1000:3000", c.User)
	assert.Equal(t, []string{"2000"}, h.GroupAdd)
	assert.Equal(t, "8e1d0b7a", c.SpecAnnotation["io.kubernetes.container.hash"])
	assert.Equal(t, []string{"no-new-privileges"}, h.SecurityOpt, "RuntimeDefault is Docker's default too")
	assert.EqualValues(t, "container:"+r.PodSandboxId, h.NetworkMode)
	assert.EqualValues(t, "", h.PidMode)
	assert.EqualValues(t, "container:"+r.PodSandboxId, h.IpcMode)
	assert.Equal(t, []int64{100000, 50000, 256, 128 << 20, 128 << 20}, []int64{h.CPUPeriod, h.CPUQuota, h.CPUShares, h.Memory, h.MemorySwap})
	assert.Equal(t, 984, h.OomScoreAdj)
	assert.Empty(t, h.Binds)
	require.Len(t, h.Mounts, 5)
	assert.Contains(t, h.Mounts[0].Source, "pvc-8:2", "no bind could say so")
	assert.Equal(t, mount.BindOptions{Propagation: "rprivate", ReadOnlyForceRecursive: true}, *h.Mounts[1].BindOptions)

	m := Sandbox(r)
	assert.Equal(t, &types.SandboxMeta{
		ID: r.PodSandboxId, Name: "web-6d4cf56db6-x2x7p", Namespace: "shop", UID: "1f0c6c0e-9d3b-4d0e-8c0a-6f4f1f3f7c11", Attempt: 1,
		Hostname: "web-6d4cf56db6-x2x7p", LogDirectory: "/var/log/pods/shop_web-6d4cf56db6-x2x7p_1f0c6c0e-9d3b-4d0e-8c0a-6f4f1f3f7c11",
		Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"kubernetes.io/config.source": "api"},
		CgroupParent: "/kubepods/burstable/pod1f0c6c0e-9d3b-4d0e-8c0a-6f4f1f3f7c11",
	}, m)
	assert.Equal(t, &types.SandboxMeta{}, Sandbox(nil))
}

func TestAStaticPodsContainerInDockersWords(t *testing.T) {
	c := Config(sent(t, "static"))
	h := c.HostConfig
	assert.Equal(t, "root", c.User)
	assert.Equal(t, "SIGRTMIN+3", c.StopSignal)
	assert.True(t, c.Tty && c.OpenStdin && !c.StdinOnce && h.Privileged)
	assert.Equal(t, []string{"seccomp=unconfined", "apparmor=unconfined", "label=type:spc_t"}, h.SecurityOpt)
	assert.EqualValues(t, []string{"host", "host", "host", "host"}, []string{string(h.NetworkMode), string(h.PidMode), string(h.IpcMode), string(h.UTSMode)})
	assert.Equal(t, []container.DeviceMapping{{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm"}}, h.Devices)
	assert.Equal(t, []container.DeviceRequest{{Driver: "cdi", DeviceIDs: []string{"vendor.com/gpu=0"}}}, h.DeviceRequests)
	assert.EqualValues(t, "rslave", h.Mounts[0].BindOptions.Propagation)
	assert.EqualValues(t, "rshared", h.Mounts[1].BindOptions.Propagation)
	assert.Equal(t, mount.Mount{Type: mount.TypeImage, Source: "example.com/models:1", Target: "/models", ReadOnly: true, ImageOptions: &mount.ImageOptions{Subpath: "v1"}}, h.Mounts[2])
	assert.Equal(t, -997, h.OomScoreAdj)
}

// A policy as operators write them: for Docker's containers and pods alike.
func TestAPolicyOnRealRequests(t *testing.T) {
	for _, name := range []string{"deployment", "static"} {
		r := sent(t, name)
		got, result := mustApply(t, r, func(c *types.ContainerCreateConfig) {
			c.Env = append(c.Env, "HTTP_PROXY=http://proxy:3128")
			c.Labels["team"] = "shop"
			c.HostConfig.Binds = append(c.HostConfig.Binds, "/etc/pki:/etc/pki:ro")
			c.HostConfig.Ulimits = append(c.HostConfig.Ulimits, &container.Ulimit{Name: "nofile", Soft: 1024, Hard: 4096})
			c.HostConfig.PidsLimit = new(int64(512))
			c.HostConfig.Memory = 256 << 20
		})
		assert.True(t, result.Changed)
		assert.Equal(t, "RLIMIT_NOFILE", result.Extra.Rlimits[0].Type)
		assert.EqualValues(t, 512, *result.Extra.Resources.Pids.Limit)
		want := proto.Clone(r).(*runtime.CreateContainerRequest)
		want.Config.Envs = append(want.Config.Envs, &runtime.KeyValue{Key: "HTTP_PROXY", Value: []byte("http://proxy:3128")})
		want.Config.Labels["team"] = "shop"
		want.Config.Mounts = append(want.Config.Mounts, &runtime.Mount{HostPath: "/etc/pki", ContainerPath: "/etc/pki", Readonly: true})
		want.Config.Linux.Resources.MemoryLimitInBytes = 256 << 20
		if name == "deployment" { // kubelet forbids swap in this way
			want.Config.Linux.Resources.MemorySwapLimitInBytes = 256 << 20
		}
		assert.True(t, proto.Equal(want, got), "%v", got)
	}
}
