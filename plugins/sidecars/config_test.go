package sidecars_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins/sidecars"
)

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for helper, want := range map[string]string{
		`{command: [/bin/true]}`:                                     `name "": give the helper a name`,
		`{name: a}`:                                                  `command []: begin it with the absolute path`,
		`{name: a, command: [true]}`:                                 `"true" is not a text`,
		`{name: a, command: [proxy]}`:                                `command ["proxy"]: begin it with the absolute path`,
		`{name: a, command: [/p], env: {"A=B": c}}`:                  `env "A=B": the name of a variable`,
		`{name: a, command: [/p], env: {POUCHFX_SIDECAR: c}}`:        `is not POUCHFX_SIDECAR`,
		`{name: a, command: [/p], dir: here}`:                        `dir "here": must be an absolute path`,
		`{name: a, command: [/p], ready: {port: 70000}}`:             `"70000" is not a whole number from 0 to 65535`,
		`{name: a, command: [/p], ready: {port: 1, file: /f}}`:       `exclude each other`,
		`{name: a, command: [/p], ready: {file: f}}`:                 `file "f": must be an absolute path`,
		`{name: a, command: [/p], ready: {probe: []}}`:               `probe []: begin it with`,
		`{name: a, command: [/p], restart: {first: 2s, most: 1s}}`:   `the delay grows`,
		`{name: a, command: [/p], grace: -1s}`:                       `grace -1s: must not be negative`,
		"{name: a, command: [/p]}\n      - {name: a, command: [/q]}": `two helpers have the name "a"`,
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(file, []byte("plugins:\n  sidecars:\n    helpers:\n      - "+helper+"\n"), 0o600))
		c, err := config.Load(file, nil, nil)
		require.NoError(t, err)
		_, err = sidecars.Module.Settle(c)
		if assert.ErrorContains(t, err, want, helper) {
			assert.Contains(t, err.Error(), "config.yaml:")
		}
	}
}
