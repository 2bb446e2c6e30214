package jsonbody

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"

	"github.com/pouchfx/pouchfx/types"
)

func TestDecodeTakesOneValue(t *testing.T) {
	for text, want := range map[string]string{
		`{"memory":5,"Unknown":{}}`:    "",
		` {"Memory":5} ` + "\n":        "",
		`null`:                         "",
		`{"Memory":5}{}`:               "unexpected content after JSON",
		`{"Memory":5}x`:                "unexpected content after JSON",
		`{"Memory":`:                   "invalid JSON: unexpected EOF",
		`{"Memory":"x"}`:               "invalid JSON: Memory: cannot use string as number (int64)",
		`{"Memory":1e99}`:              "invalid JSON: Memory: cannot use number 1e99 as number (int64)",
		`{"RestartPolicy":{"Name":1}}`: "invalid JSON: RestartPolicy.Name: cannot use number as string",
		`{"Env":"A=b"}`:                "invalid JSON: Env: cannot use string as array",
		`{"SpecAnnotation":[]}`:        "invalid JSON: SpecAnnotation: cannot use array as object",
		`{"Ulimits":[{"Soft":true}]}`:  "invalid JSON: Ulimits.Soft: cannot use bool as number (int64)",
		`{"OomKillDisable":0}`:         "invalid JSON: OomKillDisable: cannot use number as bool",
		`"text"`:                       "invalid JSON: the body: cannot use string as object",
	} {
		var v types.UpdateConfig
		err := Decode(strings.NewReader(text), &v)
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.EqualError(t, err, want, text)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	}
}

func TestDecodeTellsTheReadersErrorsApart(t *testing.T) {
	var v map[string]any
	assert.Equal(t, io.EOF, Decode(strings.NewReader(""), &v))
	broken := errors.New("broken")
	assert.Equal(t, broken, Decode(iotest.ErrReader(broken), &v))
	assert.Equal(t, broken, Decode(io.MultiReader(strings.NewReader("{}"), iotest.ErrReader(broken)), &v))
	assert.Equal(t, broken, Decode(io.MultiReader(strings.NewReader(`{"a"`), iotest.ErrReader(broken)), &v))
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"Memory":5,"RestartPolicy":{"Name":"always"},"Env":["A=b"]}`)
	f.Add(`{"Ulimits":[{"Soft":true}]} x`)
	f.Fuzz(func(t *testing.T, text string) {
		var v types.ContainerCreateConfig
		if err := Decode(strings.NewReader(text), &v); err != nil && err != io.EOF {
			assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
		}
	})
}
