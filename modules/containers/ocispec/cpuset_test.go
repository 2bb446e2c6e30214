package ocispec

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
)

func TestSetsMustBeOfThisHost(t *testing.T) {
	assert.NoError(t, CheckSets("", ""))
	for text, want := range map[string]string{
		"2-1": "Invalid value 2-1 for cpuset cpus", "x": "Invalid value x", "1,": "Invalid value 1,",
		"60000": "Requested CPUs are not available - requested 60000, available: ",
	} {
		err := CheckSets(text, "")
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, text)
		assert.ErrorContains(t, err, want)
	}
	assert.ErrorContains(t, CheckSets("", "60000"), "Requested memory nodes are not available")
}

func TestSetsOfNumbers(t *testing.T) {
	all, ok := parseSet("0-2, 5")
	assert.True(t, ok)
	for text, within := range map[string]bool{"": true, "0": true, "1-2,5": true, "0-3": false, "4": false, "5-6": false} {
		some, ok := parseSet(text)
		assert.True(t, ok, text)
		assert.Equal(t, within, some.within(all), text)
	}
}

func FuzzParseSet(f *testing.F) {
	f.Add("0-2,5")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseSet(text); ok {
			assert.True(t, s.within(s), text)
		}
	})
}
