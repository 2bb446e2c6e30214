package stdio

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Log takes the output that a Hub reads. Its methods are called one at a time.
type Log interface {
	// Write takes output of a stream; p is only valid during the call.
	Write(stream byte, p []byte)
	// Pending returns what was written and cannot be read from the log yet:
	// the beginning of a line, for each stream.
	Pending() [3][]byte
	// Flush makes all that was written readable.
	Flush()
}

// Hub gives the output of a process, from before its start to its end, to a
// log and to clients.
type Hub struct {
	mu      sync.Mutex
	log     Log // nil for none
	clients map[*Client]struct{}
	closed  bool
	stdin   *Stdin

	pumps sync.WaitGroup
	moved atomic.Int64 // bytes read so far
}

// NewHub returns a hub that waits for Pump and Close.
func NewHub() *Hub {
	return &Hub{clients: make(map[*Client]struct{}), stdin: newStdin()}
}

// Stdin is the process's input.
func (h *Hub) Stdin() *Stdin { return h.stdin }

// Attach adds a client for the streams whose writer is not nil. mark, if it is
// not nil, is called while no output passes: what the log holds then, and what
// the client gets, are all the output, and do not overlap. The caller calls
// Serve, and Detach if Serve is to end before the process.
func (h *Hub) Attach(stdout, stderr io.Writer, mark func()) *Client {
	c := newClient(stdout, stderr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if mark != nil {
		mark()
	}
	if h.closed {
		c.end(nil)
		return c
	}
	if mark != nil && h.log != nil {
		for stream, rest := range h.log.Pending() {
			if len(rest) > 0 {
				c.put(chunk{byte(stream), bytes.Clone(rest)})
			}
		}
	}
	h.clients[c] = struct{}{}
	return c
}

// Detach ends a client without waiting for what is queued.
func (h *Hub) Detach(c *Client) {
	h.mu.Lock()
	delete(h.clients, c)
	h.mu.Unlock()
	c.end(io.ErrClosedPipe)
}

// Pump begins to read the process's output: stdout, and stderr unless nil.
func (h *Hub) Pump(log Log, stdout, stderr io.Reader) {
	h.mu.Lock()
	h.log = log
	h.mu.Unlock()
	for stream, r := range map[byte]io.Reader{1: stdout, 2: stderr} {
		if r != nil {
			h.pumps.Go(func() { h.pump(stream, r) })
		}
	}
}

func (h *Hub) pump(stream byte, r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			h.moved.Add(int64(n))
			h.pass(stream, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// pass gives output to the log and to those clients that are there now. The
// lock is not held while it waits for a client.
func (h *Hub) pass(stream byte, p []byte) {
	h.mu.Lock()
	if h.log != nil {
		h.log.Write(stream, p)
	}
	clients := make([]*Client, 0, len(h.clients))
	for c := range h.clients {
		clients = append(clients, c)
	}
	h.mu.Unlock()
	if len(clients) == 0 {
		return
	}
	o := chunk{stream, bytes.Clone(p)}
	for _, c := range clients {
		c.put(o)
	}
}

// Drain waits until all output was read: the other end of the pipes is
// closed. It gives up when nothing moved for the time given, as something
// that outlives the process may hold them open.
func (h *Hub) Drain(idle time.Duration) bool {
	done := make(chan struct{})
	go func() { h.pumps.Wait(); close(done) }() // ends when the pipes are closed, which the caller does next
	last := h.moved.Load()
	for {
		timer := time.NewTimer(idle)
		select {
		case <-done:
			timer.Stop()
			return true
		case <-timer.C:
			now := h.moved.Load()
			if now == last {
				return false
			}
			last = now
		}
	}
}

// Close ends the output: the log gets what was left of lines, clients what
// was queued for them, for which it waits at most for the time given. The
// pipes must be closed or drained before.
func (h *Hub) Close(limit time.Duration) {
	h.pumps.Wait()
	h.stdin.Close()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, c := range h.end() {
		select {
		case <-c.done:
		case <-timer.C:
			return
		}
	}
}

// end closes the hub and returns the clients that were there.
func (h *Hub) end() []*Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	if h.log != nil {
		h.log.Flush()
	}
	var list []*Client
	for c := range h.clients {
		c.end(nil)
		list = append(list, c)
	}
	clear(h.clients)
	return list
}
