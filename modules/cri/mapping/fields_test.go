package mapping

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

var update = flag.Bool("update", false, "write testdata/fields.txt anew")

// samples are for fields that do not take just any value.
var samples = map[string]any{
	"StopSignal": "SIGUSR1", "User": "7:8", "Env": []string{"NEW=1"}, "HostConfig.GroupAdd": []string{"9"},
	"HostConfig.CapAdd": []string{"CAP_SYS_TIME"}, "HostConfig.CapDrop": []string{"kill"}, "HostConfig.Binds": []string{"/h:/c"},
	"HostConfig.SecurityOpt": []string{"seccomp=/profile.json"}, "HostConfig.Mounts.BindOptions.Propagation": "rslave",
	"HostConfig.DeviceCgroupRules": []string{"c 1:3 r"}, "HostConfig.DeviceRequests.DeviceIDs": []string{"v.com/c=d"},
	"HostConfig.Devices.CgroupPermissions": "r", "HostConfig.NanoCPUs": int64(5e8), "HostConfig.Sysctls": map[string]string{"net.core.somaxconn": "1"},
	"HostConfig.Ulimits": []*container.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}, "HostConfig.Tmpfs": map[string]string{"/t": "size=1m"},
}

// oneWay fields are not shown as they were set: CRI has other words for them.
var oneWay = []string{"HostConfig.NanoCPUs", "HostConfig.Binds", "HostConfig.CapAdd", "HostConfig.CapDrop"}

// hostsOwn fields name what a host may have or not have.
var hostsOwn = []string{
	"NetPriority", "HostConfig.BlkioWeightDevice", "HostConfig.BlkioDeviceReadBps", "HostConfig.BlkioDeviceWriteBps",
	"HostConfig.BlkioDeviceReadIOps", "HostConfig.BlkioDeviceWriteIOps",
}

// leaves calls f for the fields below v, with their Go paths. A list or map
// counts as one, but the fields of the first of several structs are walked too.
func leaves(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	switch t := v.Type(); {
	case v.Kind() == reflect.Struct:
		for i := range t.NumField() {
			name := path
			if field := t.Field(i); !field.Anonymous {
				name = strings.TrimPrefix(path+"."+field.Name, ".")
			}
			leaves(v.Field(i), name, f)
		}
	case v.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && !v.IsNil():
		leaves(v.Elem(), path, f)
	case v.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && v.Len() > 0:
		leaves(v.Index(0), path, f)
		f(path+"[]", v)
	default:
		f(path, v)
	}
}

// alter gives v another value than it has.
func alter(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if strings.HasSuffix(path, "[]") { // one element less
		if v.Set(v.Slice(1, v.Len())); v.Len() == 0 {
			v.SetZero()
		}
		return
	}
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	if sample, ok := samples[path]; ok {
		v.Set(reflect.ValueOf(sample).Convert(v.Type()))
	} else {
		fill(v)
	}
	require.NotEqual(t, before.Interface(), v.Interface(), "%s has no sample", path)
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("/altered")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(v.Int() + 20)
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(v.Uint() + 20)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	}
}

// full is a request that uses what there is, a mount and a device of each kind.
func full() *runtime.CreateContainerRequest {
	return &runtime.CreateContainerRequest{
		PodSandboxId: "sandbox",
		Config: &runtime.ContainerConfig{
			Metadata: &runtime.ContainerMetadata{Name: "app"}, Image: &runtime.ImageSpec{Image: "sha256:1", UserSpecifiedImage: "app:1"},
			Command: []string{"run"}, Args: []string{"fast"}, WorkingDir: "/w", Envs: []*runtime.KeyValue{{Key: "A", Value: []byte("1")}},
			Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"}, StopSignal: runtime.Signal_SIGNAL_SIGTERM,
			Mounts:     []*runtime.Mount{{HostPath: "/h/a", ContainerPath: "/a"}, {ContainerPath: "/i", Image: &runtime.ImageSpec{Image: "i"}}},
			Devices:    []*runtime.Device{{HostPath: "/dev/a", ContainerPath: "/dev/b", Permissions: "rw"}},
			CDIDevices: []*runtime.CDIDevice{{Name: "v.com/c=a"}},
			Linux: &runtime.LinuxContainerConfig{
				Resources: &runtime.LinuxContainerResources{CpuShares: 512, MemoryLimitInBytes: 1 << 30, MemorySwapLimitInBytes: 2 << 30, OomScoreAdj: 900},
				SecurityContext: &runtime.LinuxContainerSecurityContext{
					RunAsUser: &runtime.Int64Value{Value: 5}, Seccomp: &runtime.SecurityProfile{}, NoNewPrivs: true,
					MaskedPaths: []string{"/proc/kcore"}, ReadonlyPaths: []string{"/proc/sys"}, SupplementalGroups: []int64{1},
					Capabilities: &runtime.Capability{AddCapabilities: []string{"NET_ADMIN"}, DropCapabilities: []string{"ALL"}},
				},
			},
		},
		SandboxConfig: &runtime.PodSandboxConfig{Hostname: "pod", Linux: &runtime.LinuxPodSandboxConfig{CgroupParent: "/kubepods"}},
	}
}

// No change that a hook makes may be lost. testdata/fields.txt says what
// becomes of each field; a new one of Docker's needs a decision there.
func TestNoChangeIsLost(t *testing.T) {
	var paths []string
	leaves(reflect.ValueOf(Config(full())), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	require.Greater(t, len(paths), 100)
	var table strings.Builder
	for n, path := range paths {
		fmt.Fprintf(&table, "%-55s %s\n", path, fate(t, full(), n, path))
	}
	const golden = "testdata/fields.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(table.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), table.String(), "decide about the field, and run the test with -update")
}

func TestNoChangeOfAnEmptyRequestIsLost(t *testing.T) {
	n := 0
	empty := &runtime.CreateContainerRequest{}
	leaves(reflect.ValueOf(Config(empty)), "", func(path string, _ reflect.Value) {
		fate(t, empty, n, path)
		n++
	})
}

// fate tells what becomes of a change of the nth field.
func fate(t *testing.T, original *runtime.CreateContainerRequest, n int, path string) string {
	t.Helper()
	find := func(c *types.ContainerCreateConfig) (found reflect.Value) {
		i := 0
		leaves(reflect.ValueOf(c), "", func(_ string, v reflect.Value) {
			if i == n {
				found = v
			}
			i++
		})
		return found
	}
	r := proto.Clone(original).(*runtime.CreateContainerRequest)
	before, after := Config(r), Config(r)
	alter(t, path, find(after))
	result, err := Apply(r, before, after)
	field := strings.TrimSuffix(path, "[]")
	if words := strings.SplitN(field, ".", 3); words[0] == "HostConfig" || words[0] == "NetworkingConfig" {
		field = strings.Join(words[:2], ".")
	} else {
		field = words[0]
	}
	switch {
	case err != nil:
		assert.ErrorContains(t, err, field+": ")
		if slices.Contains(hostsOwn, path) {
			return "extra, if the host has it"
		}
		return "refused"
	case result.Changed != !proto.Equal(original, r):
		t.Errorf("%s: Changed is %v", path, result.Changed)
	case result.Changed && !result.Extra.Empty():
		return "request and extra"
	case result.Changed:
		if !slices.Contains(oneWay, path) {
			assert.Equal(t, after, Config(r), "%s: what was written is read otherwise", path)
		}
		return "request"
	case !result.Extra.Empty():
		s := podSpec()
		require.NoError(t, result.Extra.Edit(s), path)
		assert.NotEqual(t, podSpec(), s, path)
		if slices.Contains(hostsOwn, path) {
			return "extra, if the host has it"
		}
		return "extra"
	}
	t.Errorf("%s: the change is lost", path)
	return "lost"
}
