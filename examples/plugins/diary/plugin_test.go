package diary

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheDiaryHoldsStartAndStop(t *testing.T) {
	file := filepath.Join(t.TempDir(), "diary")
	p, err := New(Config{File: file})
	require.NoError(t, err)
	require.NoFileExists(t, file)
	require.NoError(t, p.PreStartHook())
	require.NoError(t, p.PreStopHook())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Regexp(t, `^\S+ good morning\n\S+ good night\n$`, string(text))
}

func TestADiaryThatCannotBeWrittenFailsTheStart(t *testing.T) {
	p, err := New(Config{File: filepath.Join(t.TempDir(), "absent", "diary")})
	require.NoError(t, err)
	assert.ErrorIs(t, p.PreStartHook(), os.ErrNotExist)
}
