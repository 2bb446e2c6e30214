package explain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/typeurl/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
)

func change(plugin string, size int) registry.Change {
	value, _ := json.Marshal(strings.Repeat("x", size))
	return registry.Change{
		Plugin: plugin, Hook: "PreCreate", At: time.Unix(0, 0).UTC(), Duration: 12345 * time.Nanosecond,
		Patch: json.RawMessage(fmt.Sprintf(`[{"op":"add","path":"/Labels/a","value":%s}]`, value)), Fields: []string{"/Labels/a"},
	}
}

func again(t *testing.T, e *explain.Explanation) *explain.Explanation {
	t.Helper()
	value, err := e.Encode()
	require.NoError(t, err)
	assert.LessOrEqual(t, len(value.GetValue()), explain.MaxSize)
	read, known, err := explain.Decode(map[string]typeurl.Any{explain.Extension: value})
	require.NoError(t, err)
	assert.True(t, known)
	return read
}

func TestWhatIsKeptIsReadAgain(t *testing.T) {
	e := &explain.Explanation{Create: []registry.Change{change("a", 3)}, Start: []registry.Change{change("b", 3)}, Update: []registry.Change{change("c", 3)}}
	assert.Equal(t, e, again(t, e))
}

func TestAnExplanationIsBounded(t *testing.T) {
	var updates []registry.Change
	for i := range 1000 {
		updates = append(updates, change(fmt.Sprint("u", i), 3))
	}
	read := again(t, &explain.Explanation{Update: updates})
	assert.Equal(t, "u999", read.Update[len(read.Update)-1].Plugin, "the last are kept")
	assert.Equal(t, 1000, len(read.Update)+read.Forgotten)

	read = again(t, &explain.Explanation{Create: []registry.Change{change("small", 3), change("big", 200<<10), change("biggest", 250<<10)}})
	assert.NotEmpty(t, read.Create[0].Patch)
	assert.NotEmpty(t, read.Create[1].Patch)
	assert.Empty(t, read.Create[2].Patch)
	assert.Equal(t, "250 KiB of changes: more than 256 in all are not kept", read.Create[2].Omitted)
	assert.Equal(t, []string{"/Labels/a"}, read.Create[2].Fields)
	assert.Equal(t, 1, read.Forgotten)

	var many []registry.Change
	for range 5000 {
		many = append(many, change("p", 0))
	}
	assert.Equal(t, 5000, again(t, &explain.Explanation{Create: many}).Forgotten)
}

func TestAContainerOfAnOlderOrNewerVersion(t *testing.T) {
	e, known, err := explain.Decode(nil)
	require.NoError(t, err)
	assert.False(t, known)
	assert.True(t, e.Empty())
	_, known, err = explain.Decode(map[string]typeurl.Any{explain.Extension: &anypb.Any{TypeUrl: "pouchfx/v2/Explanation"}})
	assert.True(t, known)
	assert.ErrorContains(t, err, "it was written by another version of the daemon, as pouchfx/v2/Explanation")
	_, _, err = explain.Decode(map[string]typeurl.Any{explain.Extension: &anypb.Any{TypeUrl: "pouchfx/v1/Explanation", Value: []byte("{")}})
	assert.ErrorContains(t, err, "cannot read what plugins changed")
}

func TestPeopleCanReadIt(t *testing.T) {
	e := &explain.Explanation{
		Create: []registry.Change{
			{Plugin: "limits", Hook: "PreCreate", Duration: time.Millisecond, Patch: json.RawMessage(
				`[{"op":"test","path":"/HostConfig/Memory","value":0},{"op":"replace","path":"/HostConfig/Memory","value":1024},
				  {"op":"add","path":"/Labels/a","value":"\u001b[2J` + "\u202e" + `"},{"op":"test","path":"/Env/3","value":"A=1"},{"op":"remove","path":"/Env/3"}]`),
				Conflicts: []registry.Conflict{{Field: "/Labels/a", With: "stamp"}}},
			{Plugin: "idle", Hook: "PreCreate"},
			{Plugin: "broken", Hook: "PreCreate", Error: "timeout"},
			{Plugin: "volumes", Hook: "PreVolumeCreate", Subject: "data", Omitted: "300 KiB of changes", Fields: []string{"/Labels/b"}},
		},
		Start:     []registry.Change{{Plugin: "diary", Hook: "PreStart", RuntimeHooks: []registry.RuntimeHook{{Priority: 3, Path: "/bin/x", Args: []string{"x", "y"}}}}},
		Forgotten: 2,
	}
	var b bytes.Buffer
	require.NoError(t, e.Write(&b, false))
	assert.Equal(t, `create 0001-01-01T00:00:00Z
  limits PreCreate 1ms
    /HostConfig/Memory: 0 → 1024
    + /Labels/a: "\u001b[2J\u202e"
    - /Env/3: "A=1"
    conflict: /Labels/a was written by stamp
  idle PreCreate 0s
    changed nothing
  broken PreCreate 0s
    failed, what it changed was dropped: timeout
  volumes PreVolumeCreate of data 0s
    not shown: 300 KiB of changes
    /Labels/b
start 0001-01-01T00:00:00Z
  diary PreStart 0s
    + runtime hook of priority 3: /bin/x x y
2 of the changes were not kept: they were too many, or too large
`, b.String())
	b.Reset()
	require.NoError(t, e.Write(&b, true))
	assert.Contains(t, b.String(), "\x1b[32m1024\x1b[0m")
	assert.NotContains(t, b.String(), "\x1b[2J")
	b.Reset()
	require.NoError(t, new(explain.Explanation).Write(&b, false))
	assert.Equal(t, "no plugin changed it, or it was made by a version that did not keep that\n", b.String())
}
