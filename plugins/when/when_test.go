package when_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
)

func pattern(t *testing.T, text string) *when.Pattern {
	t.Helper()
	p, err := when.NewPattern(text)
	require.NoError(t, err)
	return p
}

func TestAllThatIsGivenMustMatch(t *testing.T) {
	web := when.Object{Name: "web-1", Image: "nginx", Namespace: "shop", Labels: map[string]string{"tier": "front"}}
	for _, c := range []struct {
		about string
		w     *when.When
		holds bool
	}{
		{"no rule", nil, true},
		{"an empty rule", &when.When{}, true},
		{"name", &when.When{Name: pattern(t, "web-*")}, true},
		{"the whole name", &when.When{Name: pattern(t, "web")}, false},
		{"one character", &when.When{Name: pattern(t, "web-?")}, true},
		{"not by name", &when.When{Name: pattern(t, "!web-*")}, false},
		{"image as written", &when.When{Image: pattern(t, "nginx")}, true},
		{"image in full", &when.When{Image: pattern(t, "docker.io/*:latest")}, true},
		{"not the image in full", &when.When{Image: pattern(t, "!docker.io/library/nginx:*")}, false},
		{"neither spelling", &when.When{Image: pattern(t, "!quay.io/*")}, true},
		{"namespace", &when.When{Namespace: pattern(t, "shop|store")}, true},
		{"not this namespace", &when.When{Namespace: pattern(t, "!shop|store")}, false},
		{"label", &when.When{Labels: map[string]*when.Pattern{"tier": pattern(t, "front|back")}}, true},
		{"label of another value", &when.When{Labels: map[string]*when.Pattern{"tier": pattern(t, "back")}}, false},
		{"label that is missing", &when.When{Labels: map[string]*when.Pattern{"owner": pattern(t, "*")}}, false},
		{"label that should be missing", &when.When{Labels: map[string]*when.Pattern{"owner": pattern(t, "!*")}}, true},
		{"label that should not be there", &when.When{Labels: map[string]*when.Pattern{"tier": pattern(t, "!*")}}, false},
		{"all but one", &when.When{Name: pattern(t, "web-*"), Namespace: pattern(t, "other")}, false},
	} {
		assert.Equal(t, c.holds, c.w.Matches(web), c.about)
	}
}

func TestWhatHasAMeaningInRegularExpressionsIsPlain(t *testing.T) {
	assert.True(t, (&when.When{Name: pattern(t, "a.b+(c)")}).Matches(when.Object{Name: "a.b+(c)"}))
	assert.False(t, (&when.When{Name: pattern(t, "a.b")}).Matches(when.Object{Name: "axb"}))
	assert.True(t, (&when.When{Name: pattern(t, "a*b")}).Matches(when.Object{Name: "a/\nb"}))
}

func TestOneOfSeveralValuesIsEnoughUnlessItIsExcluded(t *testing.T) {
	for _, c := range []struct {
		text   string
		values []string
		want   bool
	}{
		{"a", []string{"b", "a"}, true},
		{"a", []string{"b"}, false},
		{"*", nil, false},
		{"!a", []string{"b", "a"}, false},
		{"!a", []string{"b"}, true},
		{"!a", nil, true},
	} {
		assert.Equal(t, c.want, pattern(t, c.text).Matches(c.values...), c)
	}
	assert.True(t, (*when.Pattern)(nil).Matches())
}

func TestAnEmptyPatternIsRefused(t *testing.T) {
	for _, text := range []string{"", "!"} {
		require.ErrorContains(t, new(when.Pattern).UnmarshalText([]byte(text)), "leave it out")
	}
}

func TestAskedIsWhatTheRequestIsAbout(t *testing.T) {
	labels := map[string]string{"tier": "front"}
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "web", Image: "nginx", Labels: labels, Pod: plugins.Pod{Namespace: "shop"}})
	assert.Equal(t, when.Object{Name: "web", Image: "nginx", Labels: labels, Namespace: "shop"}, when.Asked(ctx))
}
