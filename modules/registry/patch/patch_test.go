package patch_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry/patch"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// fill gives v a random value. Few values are possible for each field, so
// that two random values have something in common.
func fill(r *rand.Rand, v reflect.Value) {
	if r.IntN(2) == 0 {
		return // zero
	}
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(3))})
		return
	case *netip.Prefix:
		*p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, 0}), 8+r.IntN(3))
		return
	case *network.Port:
		*p = network.MustParsePort([]string{"80/tcp", "53/udp"}[r.IntN(2)])
		return
	case *time.Time:
		*p = time.Unix(int64(r.IntN(3)), 0).UTC()
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"a", "A=1", "A=2", "~/b", "", "ü"}[r.IntN(6)])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{1, -1, 127}[r.IntN(3)])
		if v.Kind() == reflect.Int64 && r.IntN(3) == 0 {
			v.SetInt(1<<63 - 1 - int64(r.IntN(2)))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(1 + r.IntN(3)))
	case reflect.Float64:
		v.SetFloat(float64(r.IntN(3)) / 2)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, key)
			fill(r, value)
			if !key.IsZero() { // the library that applies patches knows no empty key
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{"n": r.IntN(3), "l": []any{"x"}}))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i))
			}
		}
	}
}

// holds checks that a patch leads from one value to another, and back what it
// says of fields.
func holds[T any](t *testing.T, before, after T) {
	t.Helper()
	a, err := json.Marshal(before)
	require.NoError(t, err)
	b, err := json.Marshal(after)
	require.NoError(t, err)
	d, err := patch.Values(before, after)
	require.NoError(t, err)
	for about, d := range map[string]patch.Difference{"values": d, "documents": fromJSON(t, a, b)} {
		got := a
		if d.Patch != nil {
			p := decode(t, d.Patch)
			got, err = p.Apply(a)
			require.NoError(t, err, "%s\n%s\n%s", a, d.Patch, b)
		}
		require.JSONEq(t, string(b), string(got), "%s %s", about, d.Patch)
		assert.Equal(t, d.Patch == nil, len(d.Fields) == 0, "%s: %s %v", about, d.Patch, d.Fields)
	}
}

// decode leaves out those tests with which the library that applies patches
// cannot deal: of lists that hold null.
func decode(t *testing.T, text []byte) jsonpatch.Patch {
	t.Helper()
	p, err := jsonpatch.DecodePatch(text)
	require.NoError(t, err)
	return slices.DeleteFunc(p, func(o jsonpatch.Operation) bool {
		return o.Kind() == "test" && (o["value"] == nil || bytes.Contains(*o["value"], []byte("null")))
	})
}

func fromJSON(t *testing.T, a, b []byte) patch.Difference {
	t.Helper()
	d, err := patch.JSON(a, b)
	require.NoError(t, err)
	return d
}

func TestAPatchLeadsFromTheOneToTheOther(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		lead(t, r, new(types.ContainerCreateConfig))
		lead(t, r, new(types.Container))
		lead(t, r, new(networktypes.Endpoint))
		lead(t, r, new(types.VolumeCreateConfig))
	}
}

func lead[T any](t *testing.T, r *rand.Rand, _ *T) {
	t.Helper()
	var before, after T
	fill(r, reflect.ValueOf(&before).Elem())
	fill(r, reflect.ValueOf(&after).Elem())
	holds(t, before, after)
	holds(t, &before, &after)
	holds(t, before, before)
}

func config() *types.ContainerCreateConfig {
	return &types.ContainerCreateConfig{
		ContainerConfig: types.ContainerConfig{Config: container.Config{
			Env: []string{"A=1", "B=2"}, Labels: map[string]string{"a": "1"}, Cmd: []string{"sh"},
		}},
		HostConfig: &types.HostConfig{Binds: []string{"/a:/a"}, Resources: types.Resources{Memory: 1 << 20}}, NetworkingConfig: &types.NetworkingConfig{},
	}
}

func TestTheFieldsThatWereWritten(t *testing.T) {
	for _, c := range []struct {
		about  string
		change func(*types.ContainerCreateConfig)
		fields []string
	}{
		{"nothing", func(*types.ContainerCreateConfig) {}, nil},
		{"nothing that JSON shows", func(c *types.ContainerCreateConfig) { c.ExposedPorts = network.PortSet{} }, nil},
		{"a number", func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 2 }, []string{"/HostConfig/Memory"}},
		{"a variable", func(c *types.ContainerCreateConfig) { c.Env = []string{"A=3", "B=2"} }, []string{"/Env/A"}},
		{"a new variable", func(c *types.ContainerCreateConfig) { c.Env = append(c.Env, "C=3") }, []string{"/Env/C"}},
		{"a variable less", func(c *types.ContainerCreateConfig) { c.Env = c.Env[1:] }, []string{"/Env/A"}},
		{"all variables", func(c *types.ContainerCreateConfig) { c.Env = nil }, []string{"/Env/A", "/Env/B"}},
		{"their order", func(c *types.ContainerCreateConfig) { c.Env = []string{"B=2", "A=1"} }, []string{"/Env"}},
		{"a label", func(c *types.ContainerCreateConfig) { c.Labels["x/y"] = "" }, []string{"/Labels/x~1y"}},
		{"all labels", func(c *types.ContainerCreateConfig) { c.Labels = nil }, []string{"/Labels/a"}},
		{"a new bind", func(c *types.ContainerCreateConfig) { c.HostConfig.Binds = append(c.HostConfig.Binds, "/b:/b") }, []string{"/HostConfig/Binds/+/~1b:~1b"}},
		{"another bind", func(c *types.ContainerCreateConfig) { c.HostConfig.Binds[0] = "/b:/b" }, []string{"/HostConfig/Binds"}},
		{"a word more", func(c *types.ContainerCreateConfig) { c.Cmd = append(c.Cmd, "-c") }, []string{"/Cmd"}},
		{"the first of its kind", func(c *types.ContainerCreateConfig) { c.HostConfig.Sysctls = map[string]string{"a": "b"} }, []string{"/HostConfig/Sysctls/a"}},
		{"a part", func(c *types.ContainerCreateConfig) { c.Healthcheck = &container.HealthConfig{Retries: 3} }, []string{"/Healthcheck/Retries"}},
		{"our own", func(c *types.ContainerCreateConfig) { c.SpecAnnotation = map[string]string{"a": "b"} }, []string{"/SpecAnnotation/a"}},
	} {
		before, after := config(), config()
		c.change(after)
		d, err := patch.Values(before, after)
		require.NoError(t, err)
		assert.Equal(t, c.fields, d.Fields, c.about)
		assert.Equal(t, c.fields == nil, d.Patch == nil, c.about)
		holds(t, before, after)
	}
}

func TestAPatchSaysWhatWasThere(t *testing.T) {
	before, after := config(), config()
	after.HostConfig.Memory = 1<<53 + 1
	d, err := patch.Values(before, after)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"op":"test","path":"/HostConfig/Memory","value":1048576},{"op":"replace","path":"/HostConfig/Memory","value":9007199254740993}]`, string(d.Patch))
}

func TestWhatIsTooLargeIsNotKept(t *testing.T) {
	before, after := config(), config()
	after.Labels["big"] = strings.Repeat("x", 1<<20)
	d, err := patch.Values(before, after)
	require.NoError(t, err)
	assert.Equal(t, patch.Difference{Fields: []string{"/Labels/big"}, Omitted: "1025 KiB of changes: more than 256 are not kept"}, d)

	for range 10_000 {
		after.HostConfig.Binds = append(after.HostConfig.Binds, strings.Repeat("y", 300))
	}
	d, err = patch.Values(before, after)
	require.NoError(t, err)
	assert.Nil(t, d.Patch)
	for _, f := range d.Fields {
		assert.Less(t, len(f), 200)
	}
}

func TestManyFieldsAreNamedByWhatTheyArePartOf(t *testing.T) {
	before, after := config(), config()
	for i := range 2000 {
		after.Env = append(after.Env, strings.Repeat("V", i+1)+"=1")
	}
	d, err := patch.Values(before, after)
	require.NoError(t, err)
	assert.Equal(t, []string{"/Env"}, d.Fields)
}

func TestWhatIsNoJSONIsAnError(t *testing.T) {
	_, err := patch.JSON([]byte("{}"), []byte("{"))
	require.ErrorContains(t, err, "what it became is no JSON")
	_, err = patch.JSON([]byte("{} {}"), []byte("{}"))
	require.ErrorContains(t, err, "what it was is no JSON")
}

func TestFieldsOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		are  bool
	}{
		{"/Env/A", "/Env/A", true}, {"/Env", "/Env/A", true}, {"/Env/A", "/Env/AB", false}, {"/Env/A", "/Env/B", false}, {"", "/Env", true},
	} {
		assert.Equal(t, c.are, patch.Overlap(c.a, c.b), "%v", c)
		assert.Equal(t, c.are, patch.Overlap(c.b, c.a), "%v", c)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"a":[1,2,{"b":null}]}`, `{"a":[2,{"b":1}],"c":"d"}`)
	f.Add(`{"Env":["A=1"]}`, `{"Env":["A=2","A=1"]}`)
	f.Add(`[1]`, `{}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		d, err := patch.JSON([]byte(a), []byte(b))
		var before, after map[string]any
		if err != nil || d.Patch == nil || json.Unmarshal([]byte(a), &before) != nil || json.Unmarshal([]byte(b), &after) != nil ||
			before == nil || after == nil || strings.Contains(a+b, `"":`) { // the library that applies patches knows objects only
			return
		}
		_, err = decode(t, d.Patch).Apply([]byte(a))
		require.NoError(t, err, "%s", d.Patch)
	})
}
