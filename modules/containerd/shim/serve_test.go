package shim

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyTheProcessThatStaysServes(t *testing.T) {
	for line, want := range map[string]server{
		"-namespace n -id i -address /a":                                           {namespace: "n", id: "i", address: "/a"},
		"-namespace n -id i -address /a -debug":                                    {namespace: "n", id: "i", address: "/a", debug: true},
		"-namespace n -id i -address /a start":                                     {},
		"-namespace n -id i -address /a -debug start":                              {},
		"-namespace n -address /a -publish-binary p -id i -bundle b delete":        {},
		"-namespace n -address /a -publish-binary p -id i -bundle b -debug delete": {},
		"-namespace n -address /a":                                                 {},
		"-info":                                                                    {},
		"-v":                                                                       {},
		"":                                                                         {},
	} {
		s, ok := parseServer(strings.Fields(line))
		assert.Equal(t, want != server{}, ok, line)
		if ok {
			assert.Equal(t, want, s, line)
		}
	}
}

func TestMemoryIsTidiedAfterWork(t *testing.T) {
	var m memory
	collections := func() uint32 {
		before := m.now.NumGC
		m.tidy()
		runtime.ReadMemStats(&m.now)
		return m.now.NumGC - before
	}
	runtime.ReadMemStats(&m.now)
	m.tidied = m.now.TotalAlloc
	assert.Zero(t, collections(), "nothing was done")
	work = make([]byte, tidyAfter+1)
	assert.NotZero(t, collections())
	assert.Zero(t, collections())
}

var work []byte // on the heap
