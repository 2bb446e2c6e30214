package stdio

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAllClientsGetAllOutput(t *testing.T) {
	h := NewHub()
	var one, two bytes.Buffer
	a, b := h.Attach(&one, nil, nil), h.Attach(&two, &two, nil)
	done := make(chan error, 2)
	go func() { done <- a.Serve() }()
	go func() { done <- b.Serve() }()
	h.Pump(nil, strings.NewReader("out"), strings.NewReader("err"))
	require.True(t, h.Drain(time.Second))
	h.Close(time.Second)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	assert.Equal(t, "out", one.String())
	assert.ElementsMatch(t, []byte("outerr"), two.Bytes())
	late := h.Attach(&one, nil, nil)
	require.NoError(t, late.Serve(), "after the end there is nothing to wait for")
}

func TestAClientThatDoesNotReadIsLeftBehind(t *testing.T) {
	h := NewHub()
	stuck, pipe := io.Pipe()
	c := h.Attach(pipe, nil, nil)
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	go func() { time.Sleep(0); h.Detach(c); stuck.Close() }() // it goes away, full as its queue is
	h.Pump(nil, bytes.NewReader(make([]byte, 4*queueLimit)), nil)
	require.True(t, h.Drain(10*time.Second))
	h.Close(time.Second)
	require.Error(t, <-served)
}

func TestDetachingEndsAClientAtOnce(t *testing.T) {
	h := NewHub()
	var out bytes.Buffer
	c := h.Attach(&out, nil, nil)
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	h.Detach(c)
	require.ErrorIs(t, <-served, io.ErrClosedPipe)
	h.Close(0)
}

func TestInputWaitsForTheProcess(t *testing.T) {
	h := NewHub()
	r, w := io.Pipe()
	closed := make(chan struct{})
	wrote := make(chan error, 1)
	go func() {
		_, err := io.WriteString(h.Stdin(), "hello")
		h.Stdin().CloseInput()
		wrote <- err
	}()
	h.Stdin().Open(w, func() { close(closed) })
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
	require.NoError(t, <-wrote)
	<-closed
	_, err = h.Stdin().Write([]byte("more"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	h.Close(0)
}

func TestDetachKeys(t *testing.T) {
	r, err := Detachable(strings.NewReader("ab\x10\x11cd"), "")
	require.NoError(t, err)
	var got bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&got}, r, make([]byte, 1))
	assert.True(t, IsDetach(err), "%v", err)
	assert.Equal(t, "ab", got.String())
	_, err = Detachable(nil, "ctrl-nonsense")
	require.Error(t, err)
}
