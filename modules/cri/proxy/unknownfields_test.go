package proxy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// newer adds what a newer CRI could have: a number, a text and a message, in
// fields that nobody knows.
func newer(m proto.Message, mark string) {
	b := protowire.AppendTag(nil, 900, protowire.VarintType)
	b = protowire.AppendVarint(b, 7)
	b = protowire.AppendTag(b, 901, protowire.BytesType)
	b = protowire.AppendString(b, mark)
	b = protowire.AppendTag(b, 902, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, 1<<60)
	m.ProtoReflect().SetUnknown(b)
}

func TestUnknownFieldsOfAllDepthsSurviveAnEdit(t *testing.T) {
	sent := &runtime.CreateContainerRequest{
		PodSandboxId: "pod",
		Config: &runtime.ContainerConfig{
			Metadata: &runtime.ContainerMetadata{Name: "c"},
			Envs:     []*runtime.KeyValue{{Key: "A", Value: []byte("\xff not UTF-8")}},
			Mounts:   []*runtime.Mount{{ContainerPath: "/data"}},
			Linux: &runtime.LinuxContainerConfig{
				Resources:       &runtime.LinuxContainerResources{CpuShares: 2},
				SecurityContext: &runtime.LinuxContainerSecurityContext{Capabilities: &runtime.Capability{}},
			},
		},
		SandboxConfig: &runtime.PodSandboxConfig{Linux: &runtime.LinuxPodSandboxConfig{}},
	}
	newer(sent, "request")
	newer(sent.Config, "config")
	newer(sent.Config.Metadata, "metadata")
	newer(sent.Config.Envs[0], "env")
	newer(sent.Config.Mounts[0], "mount")
	newer(sent.Config.Linux, "linux")
	newer(sent.Config.Linux.Resources, "resources")
	newer(sent.Config.Linux.SecurityContext.Capabilities, "capabilities")
	newer(sent.SandboxConfig.Linux, "sandbox")

	edit := func(m *runtime.CreateContainerRequest) {
		m.Config.Linux.Resources.CpuShares = 1024
		m.Config.Envs = append(m.Config.Envs, &runtime.KeyValue{Key: "B", Value: []byte("2")})
	}
	got := make(chan []byte, 1)
	s := start(t, settings{
		handler: func(_ any, s grpc.ServerStream) error {
			b, err := recvBytes(s)
			if err != nil {
				return err
			}
			got <- b
			return sendBytes(s, nil)
		},
		interceptors: before(func(ctx context.Context, request []byte, invoke Invoke) ([]byte, error) {
			var m runtime.CreateContainerRequest
			if err := proto.Unmarshal(request, &m); err != nil {
				return nil, err
			}
			edit(&m)
			edited, err := proto.Marshal(&m)
			if err != nil {
				return nil, err
			}
			return invoke(ctx, edited)
		}),
	})
	_, err := runtime.NewRuntimeServiceClient(s.client).CreateContainer(within(t), sent) // as kubelet does
	require.NoError(t, err)

	want := proto.CloneOf(sent)
	edit(want)
	var came runtime.CreateContainerRequest
	require.NoError(t, proto.Unmarshal(<-got, &came))
	assert.True(t, proto.Equal(want, &came), "want %v\ngot  %v", want, &came)
	assert.NotEmpty(t, came.Config.Linux.SecurityContext.Capabilities.ProtoReflect().GetUnknown())
}
