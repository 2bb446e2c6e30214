package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// id is that of the made-up container.
const id = "3f4ac8f6bd1e9f3b0c5f1a8d2e7c6b5a4938271605f4e3d2c1b0a9f8e7d6c5b4"

// CreateConfig is the body of docker run -e … -v … -p … --memory 64m.
func CreateConfig() *types.ContainerCreateConfig {
	port := network.MustParsePort("80/tcp")
	return &types.ContainerCreateConfig{
		ContainerConfig: types.ContainerConfig{
			Config: container.Config{
				Image: "docker.io/library/web:1.2", Cmd: []string{"serve", "--port", "80"},
				Env: []string{"PATH=/usr/bin:/bin", "MODE=production"}, User: "1000:1000", WorkingDir: "/srv",
				Labels: map[string]string{"com.example.team": "blue"}, ExposedPorts: network.PortSet{port: {}},
			},
			SpecAnnotation: map[string]string{"com.example.note": "made up"},
		},
		HostConfig: &types.HostConfig{
			Binds: []string{"/srv/data:/data:ro"}, NetworkMode: "front", CapAdd: []string{"NET_BIND_SERVICE"},
			PortBindings:  network.PortMap{port: {{HostPort: "8080"}}},
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 3},
			Mounts:        []mount.Mount{{Type: mount.TypeVolume, Source: "cache", Target: "/cache"}},
			Resources:     container.Resources{Memory: 64 << 20, NanoCPUs: 5e8},
		},
		NetworkingConfig: &types.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"front": {Aliases: []string{"web"}}}},
	}
}

// BareCreateConfig is the least that a client can ask for: maps and slices are
// nil.
func BareCreateConfig() *types.ContainerCreateConfig {
	return &types.ContainerCreateConfig{
		ContainerConfig: types.ContainerConfig{Config: container.Config{Image: "box"}},
		HostConfig:      &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{},
	}
}

// Container is what PreStart gets for a container made from CreateConfig.
func Container() *types.Container {
	c := CreateConfig()
	return &types.Container{
		ID: id, Name: "web", Image: c.Image, Config: &c.ContainerConfig, HostConfig: c.HostConfig,
		Mounts: []types.MountPoint{
			{Type: mount.TypeBind, Source: "/srv/data", Destination: "/data"},
			{Type: mount.TypeVolume, Name: "cache", Source: "/var/lib/pouchfx/volumes/cache/_data", Destination: "/cache", Driver: "local", RW: true},
		},
		Annotations:     map[string]string{"com.example.note": "made up"},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{"front": {Aliases: []string{"web"}}}},
		BaseFS:          "/run/pouchfx/containers/" + id + "/rootfs",
	}
}

// BareContainer is what PreStart gets for a container made from
// BareCreateConfig.
func BareContainer() *types.Container {
	c := BareCreateConfig()
	return &types.Container{
		ID: id, Name: "box", Image: c.Image, Config: &c.ContainerConfig, HostConfig: c.HostConfig, Annotations: map[string]string{},
		NetworkSettings: &container.NetworkSettings{}, BaseFS: "/run/pouchfx/containers/" + id + "/rootfs",
	}
}

// Endpoint is the place of Container on the network front.
func Endpoint() *networktypes.Endpoint {
	return &networktypes.Endpoint{
		Owner: id, Network: "front", EndpointConfig: &network.EndpointSettings{Aliases: []string{"web"}, NetworkID: "front"},
		DNSSearch: []string{"example.org"}, GenericParams: map[string]any{"mtu": "1400"},
	}
}

// BareEndpoint is one for which nobody asked for anything.
func BareEndpoint() *networktypes.Endpoint {
	return &networktypes.Endpoint{Owner: id, Network: "bridge", EndpointConfig: &network.EndpointSettings{}, GenericParams: map[string]any{}}
}

// UpdateBody is the body of docker update --memory 128m --restart always, with
// what this daemon adds.
func UpdateBody() string {
	return `{"Memory":134217728,"RestartPolicy":{"Name":"always"},"Env":["MODE=test"],"Label":["com.example.tier=gold"]}`
}

// SandboxMeta is the pod web of the namespace shop.
func SandboxMeta() *types.SandboxMeta {
	return &types.SandboxMeta{
		ID: strings.Repeat("5a", 32), Name: "web-6d4cf56db6-x7q2k", Namespace: "shop", UID: "6f1a9e0c-8c1d-4f0e-9b57-2f4a3f1f7c11",
		Hostname: "web", LogDirectory: "/var/log/pods/shop_web", CgroupParent: "/kubepods/burstable/pod6f1a9e0c", NetNS: "/run/netns/web",
		Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"example.com/note": "made up"},
	}
}

// VolumeConfig is the body of docker volume create --label … cache.
func VolumeConfig() *types.VolumeCreateConfig {
	return &types.VolumeCreateConfig{
		Name: "cache", Driver: "local", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=16m"},
		Labels: map[string]string{"com.example.team": "blue"},
	}
}

// Routes are some of a daemon's. Each handler answers with its route, in JSON.
func Routes() []*types.HandlerSpec {
	var routes []*types.HandlerSpec
	for _, r := range [][2]string{
		{"GET", "/_ping"}, {"HEAD", "/_ping"}, {"GET", "/version"}, {"GET", "/info"}, {"GET", "/events"},
		{"GET", "/containers/json"}, {"POST", "/containers/create"}, {"GET", "/containers/{name}/json"}, {"POST", "/containers/{name}/start"},
		{"POST", "/containers/{name}/update"}, {"DELETE", "/containers/{name}"}, {"GET", "/images/json"}, {"POST", "/images/create"},
		{"GET", "/images/{name:.*}/json"}, {"POST", "/volumes/create"}, {"GET", "/networks"},
	} {
		routes = append(routes, types.NewHandlerSpec(r[0], r[1], func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/json")
			return json.NewEncoder(w).Encode(r)
		}))
	}
	return routes
}

// Context is a hook's, of a request of the docker command about the container
// web.
func Context(parent context.Context) context.Context {
	return plugins.WithRequest(parent, plugins.Request{FrontEnd: plugins.FrontEndDocker, Name: "web", ID: id, RemoteUser: "uid:1000"})
}

// CRIContext is a hook's, of a request of kubelet about a container of
// SandboxMeta.
func CRIContext(parent context.Context) context.Context {
	pod := SandboxMeta()
	return plugins.WithRequest(parent, plugins.Request{
		FrontEnd: plugins.FrontEndCRI, Name: "web", RemoteUser: "uid:0",
		Pod: plugins.Pod{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
	})
}

// addOurs adds the kit's arguments of the hooks that the plugin has.
func (k *kit) addOurs(t *testing.T) {
	k.creates = append(k.creates, argument[*types.ContainerCreateConfig]{value: CreateConfig()}, argument[*types.ContainerCreateConfig]{value: BareCreateConfig()})
	k.starts = append(k.starts, argument[*types.Container]{value: Container()}, argument[*types.Container]{value: BareContainer()})
	k.endpoints = append(k.endpoints, argument[*networktypes.Endpoint]{value: Endpoint()}, argument[*networktypes.Endpoint]{value: BareEndpoint()})
	k.updates = append(k.updates, argument[string]{value: UpdateBody()}, argument[string]{value: "{}"})
	k.sandboxes = append(k.sandboxes, argument[*types.SandboxMeta]{value: SandboxMeta()}, argument[*types.SandboxMeta]{value: &types.SandboxMeta{ID: id, Name: "bare", Namespace: "default", UID: "0"}})
	k.volumes = append(k.volumes, argument[*types.VolumeCreateConfig]{value: VolumeConfig()}, argument[*types.VolumeCreateConfig]{value: &types.VolumeCreateConfig{}})
	for _, kind := range k.module.Kinds {
		switch kind {
		case plugins.KindImage:
			k.images = append(k.images, argument[containerd.Image]{value: Image(t)})
		case plugins.KindContainer:
			k.rootfs = rootfs(t)
		}
	}
}

// rootfs is a root filesystem for PostUpdate.
func rootfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"bin", "etc", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fresh returns a copy, as the daemon decodes one from a request.
func fresh[T any](v *T) *T {
	text, err := json.Marshal(v)
	copied := new(T)
	if err == nil {
		err = json.Unmarshal(text, copied)
	}
	if err != nil {
		panic(fmt.Sprintf("plugintest: an argument of type %T cannot be copied: %v", v, err))
	}
	return copied
}
