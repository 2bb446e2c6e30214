package filters

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAcceptsBothForms(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Args
	}{
		"nothing":    {"", nil},
		"null":       {"null", Args{}},
		"no keys":    {"{}", Args{}},
		"map":        {`{"label":{"a=b":true,"c":true}}`, Args{"label": {"a=b": true, "c": true}}},
		"list":       {`{"label":["a=b","c"]}`, Args{"label": {"a=b": true, "c": true}}},
		"mixed":      {`{"label":["a"],"name":{"x":true}}`, Args{"label": {"a": true}, "name": {"x": true}}},
		"empty list": {`{"label":[],"name":{}}`, Args{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.text)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	for _, text := range []string{"x", "[]", `{"label":"a"}`, `{"label":[1]}`, `{"label":{"a":"b"}}`, `{} x`} {
		_, err := Parse(text)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, text)
	}
}

func TestValidateNamesTheUnknownKey(t *testing.T) {
	args := Args{"label": {"a": true}, "colour": {"red": true}}
	err := args.Validate("label", "name")
	assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	assert.EqualError(t, err, "invalid filter 'colour': use one of label, name")
	assert.NoError(t, args.Validate("label", "colour"))
	assert.NoError(t, Args(nil).Validate())
}

func TestMatching(t *testing.T) {
	args := Args{
		"name":   {"^web-[0-9]$": true, "db": true, "[": true},
		"id":     {"abc": true},
		"status": {"running": true},
	}
	assert.True(t, args.Match("name", "web-1"))
	assert.True(t, args.Match("name", "mydb2"), "a name matches in part")
	assert.True(t, args.Match("name", "["), "equal, though not a regular expression")
	assert.False(t, args.Match("name", "cache"))
	assert.True(t, args.Match("absent", "anything"))
	assert.True(t, args.Prefix("id", "abcdef"))
	assert.False(t, args.Prefix("id", "xabc"))
	assert.True(t, args.Exact("status", "running"))
	assert.False(t, args.Exact("status", "run"))
	assert.Equal(t, []string{"[", "^web-[0-9]$", "db"}, args.Get("name"))
	assert.False(t, args.Has("label"))
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	args := Args{"label": {"a": true}}
	assert.Equal(t, Args{"label": {"a": true, "b": true}}, args.With("label", "b"))
	assert.Equal(t, Args{"label": {"a": true}, "all": {"true": true}}, args.With("all", "true"))
	assert.Equal(t, Args{"label": {"a": true}}, args)
	assert.Equal(t, Args{"x": {"y": true}}, Args(nil).With("x", "y"))
}

func TestLabels(t *testing.T) {
	labels := map[string]string{"a": "1", "b": "", "url": "x=y"}
	for text, want := range map[string]bool{
		`{}`:                                  true,
		`{"label":["a"]}`:                     true,
		`{"label":["a=1"]}`:                   true,
		`{"label":["a="]}`:                    false,
		`{"label":["b="]}`:                    true,
		`{"label":["url=x=y"]}`:               true,
		`{"label":["a=2"]}`:                   false,
		`{"label":["a=1","c"]}`:               false,
		`{"label!":["c"]}`:                    true,
		`{"label!":["a=1"]}`:                  false,
		`{"label":["a"],"label!":["a=2"]}`:    true,
		`{"label":["a"],"label!":["b=","c"]}`: false,
	} {
		args, err := Parse(text)
		require.NoError(t, err)
		assert.Equal(t, want, args.Labels(labels), text)
	}
}

func TestBool(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, `{"dangling":["true"]}`: true, `{"dangling":["1"]}`: true,
		`{"dangling":["false"]}`: false, `{"dangling":{"0":true}}`: false,
	} {
		args, err := Parse(text)
		require.NoError(t, err)
		got, err := args.Bool("dangling", true)
		require.NoError(t, err)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{`{"dangling":["maybe"]}`, `{"dangling":["true","false"]}`} {
		args, err := Parse(text)
		require.NoError(t, err)
		_, err = args.Bool("dangling", true)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, text)
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                            {},
		"0":                           {},
		"10m":                         now.Add(-10 * time.Minute),
		"0s":                          now,
		"1136073600":                  time.Unix(1136073600, 0),
		"1136073600.000000001":        time.Unix(1136073600, 1),
		"1136073600.5":                time.Unix(1136073600, 500000000),
		"1136073600.1234567891":       time.Unix(1136073600, 123456789),
		"2006-01-02T15:04:05Z":        time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC),
		"2006-01-02T15:04:05.5+02:00": time.Date(2006, 1, 2, 13, 4, 5, 5e8, time.UTC),
		"2006-01-02T15:04:05":         time.Date(2006, 1, 2, 15, 4, 5, 0, time.Local),
		"2006-01-02":                  time.Date(2006, 1, 2, 0, 0, 0, 0, time.Local),
	} {
		got, err := ParseTime(text, now)
		require.NoError(t, err, text)
		assert.True(t, want.Equal(got), "%s: %v", text, got)
	}
	for _, text := range []string{"yesterday", "1.x", "99999999999999999999", "-", "1136073600.-5"} {
		_, err := ParseTime(text, now)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, text)
	}
}

func TestUntilTakesOneTime(t *testing.T) {
	now := time.Now()
	got, err := Args{"until": {"1h": true}}.Until(now)
	require.NoError(t, err)
	assert.Equal(t, now.Add(-time.Hour), got)
	_, err = Args{"until": {"1h": true, "2h": true}}.Until(now)
	assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}

func FuzzParse(f *testing.F) {
	f.Add(`{"label":{"a=b":true}}`)
	f.Add(`{"label":["a=b"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		args, err := Parse(text)
		if err != nil {
			assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
			return
		}
		for key := range args {
			assert.True(t, args.Has(key))
			assert.NotEmpty(t, args.Get(key))
			args.Match(key, "x")
		}
		args.Labels(map[string]string{"a": "b"})
	})
}

func FuzzParseTime(f *testing.F) {
	f.Add("1136073600.000000001")
	f.Add("10m")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseTime(text, time.Now()); err != nil {
			assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
		}
	})
}
