package plugins_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
)

func TestAHookProgramIsRunByThisBinary(t *testing.T) {
	p := plugins.HookProgram{Name: "x", Path: "/bin/sh", Args: []string{"sh", "-c", "true"}, Env: []string{"A="}, Timeout: time.Second}
	require.NoError(t, p.Validate())
	args, err := p.PreStartArgs()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	assert.Equal(t, self, args[0])
	require.Len(t, args, 5)
	var read plugins.HookProgram
	require.NoError(t, json.Unmarshal([]byte(args[4]), &read))
	assert.Equal(t, p, read)

	p.Env = []string{"A=" + strings.Repeat("x", 200<<10)}
	_, err = p.PreStartArgs()
	assert.ErrorContains(t, err, "x: its arguments and environment are larger than")
}

func TestAHookProgramThatCannotRunIsRefused(t *testing.T) {
	for want, p := range map[string]plugins.HookProgram{
		"it has no path":                     {},
		`path "sh": must be absolute`:        {Path: "sh"},
		"timeout 1m1s: ":                     {Path: "/x", Timeout: 61 * time.Second},
		"timeout -1s: ":                      {Path: "/x", Timeout: -time.Second},
		`env "A": write NAME=value`:          {Path: "/x", Env: []string{"A"}},
		`env "=A": write NAME=value`:         {Path: "/x", Env: []string{"=A"}},
		"args: the first is the program's":   {Path: "/x", Args: []string{""}},
		`"a\x00": must not hold a zero byte`: {Path: "/x", Args: []string{"x", "a\x00"}},
	} {
		assert.ErrorContains(t, p.Validate(), want)
	}
}
