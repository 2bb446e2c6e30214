package registry

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// typicalConfig is what `docker run -p 80:80 -v data:/data -e … --memory …` sends.
func typicalConfig() *types.ContainerCreateConfig {
	port, stop := network.MustParsePort("80/tcp"), 10
	c := &types.ContainerCreateConfig{
		HostConfig: &types.HostConfig{
			Binds:        []string{"data:/data"},
			PortBindings: network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "80"}}},
			DNS:          []netip.Addr{netip.MustParseAddr("::1")},
			Mounts:       []mount.Mount{{Type: mount.TypeVolume, Source: "v", Target: "/v", VolumeOptions: &mount.VolumeOptions{}}},
			CapDrop:      []string{},
		},
		NetworkingConfig: &types.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			"net": {Aliases: []string{"web"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.0.2")}},
		}},
	}
	c.Config = container.Config{
		Env: []string{"A=1", "B=2", "C=3"}, Cmd: []string{"sleep", "1"}, StopTimeout: &stop,
		ExposedPorts: network.PortSet{port: {}}, Labels: map[string]string{"a": "b"}, Volumes: map[string]struct{}{},
	}
	c.SpecAnnotation = map[string]string{"k": "v"}
	return c
}

func TestACloneIsEqualAndSharesNothing(t *testing.T) {
	endpoint := &networktypes.Endpoint{
		EndpointConfig: &network.EndpointSettings{MacAddress: network.HardwareAddr{2, 0, 0, 0, 0, 1}},
		DNS:            []netip.Addr{netip.MustParseAddr("fe80::1%eth0")},
		GenericParams:  map[string]any{"list": []any{1, "x", map[string]any{"y": nil}}, "time": time.Unix(1, 0)},
	}
	for _, v := range []any{
		typicalConfig(), endpoint, &types.Container{}, map[string]netip.Addr{"a": netip.MustParseAddr("1.2.3.4")},
		[]string(nil), []string{}, map[string]string(nil), map[string]string{}, [2][]int{{1}, nil}, nil,
	} {
		c := clone(v)
		require.Equal(t, v, c)
		assertApart(t, reflect.ValueOf(v), reflect.ValueOf(c))
	}
}

// assertApart walks two equal values and fails where they share memory.
func assertApart(t *testing.T, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() {
			return
		}
		if a.Kind() == reflect.Pointer {
			assert.NotEqual(t, a.Pointer(), b.Pointer(), a.Type())
		}
		assertApart(t, a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if a.Kind() == reflect.Slice && a.Cap() > 0 {
			assert.NotEqual(t, a.Pointer(), b.Pointer(), a.Type())
		}
		for i := range a.Len() {
			assertApart(t, a.Index(i), b.Index(i))
		}
	case reflect.Map:
		if !a.IsNil() {
			assert.NotEqual(t, a.Pointer(), b.Pointer(), a.Type())
		}
		for _, k := range a.MapKeys() {
			assertApart(t, a.MapIndex(k), b.MapIndex(k))
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).IsExported() {
				assertApart(t, a.Field(i), b.Field(i))
			}
		}
	}
}

func BenchmarkCopyOfATypicalCreateConfig(b *testing.B) {
	config := typicalConfig()
	b.ReportAllocs()
	for b.Loop() {
		clone(config)
	}
}
