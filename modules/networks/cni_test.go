package networks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/networktypes"
)

// bridgeScript puts a script in the place of the CNI program bridge. $REAL is
// the program itself, $DIR a directory for the script, which is returned.
func (h *house) bridgeScript(script string) (dir string) {
	h.t.Helper()
	dir = filepath.Join(h.dir, "script")
	require.NoError(h.t, os.MkdirAll(dir, 0o755))
	text := "#!/bin/sh\nREAL=" + filepath.Join(cnitest.Dir(), programBridge) + "\nDIR=" + dir + "\n" + script + "\n"
	path := filepath.Join(dir, programBridge)
	require.NoError(h.t, os.WriteFile(path+".new", []byte(text), 0o755))
	require.NoError(h.t, os.Rename(path+".new", path))
	h.programs = []string{dir, cnitest.Dir()}
	if h.Service != nil {
		h.Service.programs.dirs = h.programs
	}
	return dir
}

func TestParametersReachCNI(t *testing.T) {
	t.Setenv("SECRET", "of the daemon")
	h := newHouse(t)
	dir := h.bridgeScript(`
if [ $CNI_COMMAND = ADD ]; then env > $DIR/env; tee $DIR/stdin | $REAL; else exec $REAL; fi`)
	id := h.open("web")
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("bridge", func(ep *networktypes.Endpoint) {
		ep.GenericParams = map[string]any{"vlan": 7, "zone": "blue", "nested": map[string]any{"deep": true}}
	})))
	var config struct {
		Args struct {
			CNI map[string]any `json:"cni"`
		} `json:"args"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "stdin"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &config))
	assert.Equal(t, map[string]any{"vlan": 7.0, "zone": "blue", "nested": map[string]any{"deep": true}}, config.Args.CNI)
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	assert.Contains(t, string(env), "CNI_ARGS=IgnoreUnknown=1;vlan=7;zone=blue\n")
	assert.NotContains(t, string(env), "SECRET", "the daemon's environment is its own")
}

func TestParametersThatCNICannotHave(t *testing.T) {
	for name, params := range map[string]map[string]any{
		`cannot hold "mac"`:              {"mac": "02:00:00:00:00:01"},
		`cannot hold "IP"`:               {"IP": "10.0.0.1"},
		`cannot hold "ignoreunknown"`:    {"ignoreunknown": 1},
		`"a;b" is no name of an`:         {"a;b": 1},
		`the value of "a" has ';'`:       {"a": "b;IP=10.0.0.1"},
		"they are bigger than":           {"a": strings.Repeat("x", maxArgs)},
		"unsupported type: func()":       {"a": func() {}},
		"GenericParams cannot be handed": {"a": make(chan int)},
	} {
		_, err := cniArgs(params)
		assert.ErrorContains(t, err, name)
	}
	args, err := cniArgs(nil)
	assert.Empty(t, args)
	assert.NoError(t, err)
}

func FuzzCNIArgs(f *testing.F) {
	f.Add("key", "value")
	f.Add("a=b", "c;d")
	f.Fuzz(func(t *testing.T, key, value string) {
		args, err := cniArgs(map[string]any{key: value})
		if err != nil {
			return
		}
		for _, a := range args {
			if strings.ContainsAny(a[0]+a[1], ";=\x00") {
				t.Fatalf("%q", a)
			}
		}
	})
}

func TestWhatCNISaysReachesTheCaller(t *testing.T) {
	h := newHouse(t)
	n := h.inspect("bridge")
	for name, tc := range map[string]struct{ script, says string }{
		"its own error": {`echo '{"cniVersion":"1.0.0","code":11,"msg":"the switch is on fire","details":"call somebody"}'; exit 1`, "the switch is on fire; call somebody"},
		"only stderr":   {`echo smoke >&2; exit 3`, "exit status 3: smoke"},
		"nothing":       {`exit 4`, "exit status 4"},
		"no JSON":       {`echo hello`, "CNI program bridge: "},
		"too much":      {`exec head -c 2000000 /dev/zero`, "CNI program bridge: "},
		"no address":    {`echo '{"cniVersion":"1.0.0","ips":[{"address":"nonsense"}]}'`, "CNI program bridge: "},
	} {
		t.Run(name, func(t *testing.T) {
			h.bridgeScript(`if [ $CNI_COMMAND = ADD ]; then ` + tc.script + `; else exec $REAL; fi`)
			id := h.open("web")
			err := h.Connect(t.Context(), id, endpointOn("bridge"))
			require.ErrorContains(t, err, "connect container web to network bridge: ")
			assert.ErrorContains(t, err, tc.says)
			assert.Empty(t, h.leases(n.ID))
			assert.Empty(t, h.inspect("bridge").Containers)
			require.NoError(t, h.Close(t.Context(), id))
		})
	}
}

func TestWithoutProgramsTheErrorSaysWhatToDo(t *testing.T) {
	h := newHouse(t)
	h.Service.programs.dirs = []string{"/nonexistent"}
	id := h.open("web")
	err := h.Connect(t.Context(), id, endpointOn("bridge"))
	assert.ErrorContains(t, err, "there is no CNI program bridge in /nonexistent: build this binary with `make build`")
	h.Service.programs.dirs = h.programs
}
