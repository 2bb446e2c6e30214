package containerd

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// configured is what containerd's CRI is configured with.
func configured(t *testing.T, c CRIConfig) (images, runtime, server map[string]any) {
	t.Helper()
	e := New(Config{State: "/run/x", CRI: &c}, zap.NewNop())
	e.binaries = binaries{runc: "/our/runc", shim: "/our/shim"}
	all, err := e.criPlugins()
	require.NoError(t, err)
	return all[criImages].(map[string]any), all[criRuntime].(map[string]any), all[criServer].(map[string]any)
}

func handlers(runtime map[string]any) map[string]any {
	return runtime["containerd"].(map[string]any)["runtimes"].(map[string]any)
}

func TestDefaultsOfCRI(t *testing.T) {
	images, runtime, server := configured(t, CRIConfig{CgroupDriver: CgroupSystemd})
	assert.Equal(t, map[string]any{"config_path": "/etc/containerd/certs.d:/etc/docker/certs.d"}, images["registry"])
	assert.Equal(t, "/etc/cni/net.d", runtime["cni"].(map[string]any)["conf_dir"])
	assert.Equal(t, map[string]any{"stream_server_address": "127.0.0.1", "stream_server_port": "0"}, server)
	runc := handlers(runtime)["runc"].(map[string]any)
	assert.Equal(t, "/our/shim", runc["runtime_path"])
	assert.Equal(t, map[string]any{"BinaryName": "/our/runc", "Root": "/run/x/runc", "SystemdCgroup": true}, runc["options"])
}

func TestRuntimeHandlers(t *testing.T) {
	_, runtime, _ := configured(t, CRIConfig{CgroupDriver: CgroupFS, Runtimes: map[string]CRIRuntime{
		"gvisor": {Binary: "/bin/runsc", PodAnnotations: []string{"dev.gvisor.*"}},
		"kata":   {Shim: "/opt/containerd-shim-kata-v2", Options: map[string]any{"ConfigPath": "/k.toml"}},
		"wasm":   {Shim: "io.containerd.wasmtime.v1"},
		"runc":   {Options: map[string]any{"NoPivotRoot": true}},
	}})
	all := handlers(runtime)
	gvisor := all["gvisor"].(map[string]any)
	assert.Equal(t, map[string]any{"BinaryName": "/bin/runsc", "Root": "/run/x/runtimes/gvisor", "SystemdCgroup": false}, gvisor["options"])
	assert.Equal(t, []string{"dev.gvisor.*"}, gvisor["pod_annotations"])
	kata := all["kata"].(map[string]any)
	assert.Equal(t, "io.containerd.kata.v2", kata["runtime_type"])
	assert.Equal(t, "/opt/containerd-shim-kata-v2", kata["runtime_path"])
	assert.Equal(t, map[string]any{"ConfigPath": "/k.toml"}, kata["options"])
	wasm := all["wasm"].(map[string]any)
	assert.Equal(t, "io.containerd.wasmtime.v1", wasm["runtime_type"])
	assert.NotContains(t, wasm, "runtime_path")
	assert.Equal(t, map[string]any{"BinaryName": "/our/runc", "Root": "/run/x/runc", "SystemdCgroup": false, "NoPivotRoot": true}, all["runc"].(map[string]any)["options"])
}

func TestAClonedConfigurationSharesNothing(t *testing.T) {
	type inner struct{ Options map[string]any }
	type config struct {
		Map   map[string]inner
		List  []string
		Flag  *bool
		Empty map[string]string
	}
	make := func() config {
		flag := true
		return config{Map: map[string]inner{"a": {map[string]any{"x": []any{1}}}}, List: []string{"b"}, Flag: &flag}
	}
	original := make()
	c := clone(reflect.ValueOf(original)).Interface().(config)
	assert.Equal(t, original, c)
	c.Map["a"].Options["x"].([]any)[0] = 2
	c.Map["c"] = inner{}
	c.List[0] = "d"
	*c.Flag = false
	assert.Equal(t, make(), original)
}
