package stdio

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// queueLimit is how many bytes wait for a client before the process has
	// to wait too.
	queueLimit = 1 << 20
	// patience is how long the process waits for a client that reads nothing.
	patience = 30 * time.Second
)

// ErrSlow is why a client that did not read was cut off.
var ErrSlow = errors.New("the client did not read its output and was cut off")

// chunk is output of one stream; its bytes are shared and not changed.
type chunk struct {
	stream byte
	data   []byte
}

// Client is one receiver of a Hub's output.
type Client struct {
	outputs [3]io.Writer // by stream; nil where it is not wanted

	mu     sync.Mutex
	queue  []chunk
	size   int
	ended  bool          // nothing more will be queued
	err    error         // why it was cut off
	more   chan struct{} // capacity 1: the queue has grown, or ended
	room   chan struct{} // capacity 1: the queue has shrunk
	done   chan struct{} // closed when all that was queued is written
	closed chan struct{} // closed by end
}

func newClient(stdout, stderr io.Writer) *Client {
	return &Client{
		outputs: [3]io.Writer{1: stdout, 2: stderr},
		more:    make(chan struct{}, 1), room: make(chan struct{}, 1),
		done: make(chan struct{}), closed: make(chan struct{}),
	}
}

// put queues output, waiting while the queue is full.
func (c *Client) put(o chunk) {
	if c.outputs[o.stream] == nil {
		return
	}
	var timeout <-chan time.Time
	for {
		c.mu.Lock()
		if c.ended {
			c.mu.Unlock()
			return
		}
		if c.size == 0 || c.size+len(o.data) <= queueLimit {
			c.queue = append(c.queue, o)
			c.size += len(o.data)
			c.mu.Unlock()
			notify(c.more)
			return
		}
		c.mu.Unlock()
		if timeout == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-c.room:
		case <-c.closed:
		case <-timeout:
			c.end(ErrSlow)
		}
	}
}

// end lets the client finish what is queued; with an error it drops that.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if c.err = err; err != nil {
		c.queue = nil
	}
	close(c.closed)
}

// Serve writes what comes until the hub closes or writing fails. It is called
// once.
func (c *Client) Serve() error {
	defer close(c.done)
	for {
		c.mu.Lock()
		queue, ended, err := c.queue, c.ended, c.err
		c.queue, c.size = nil, 0
		c.mu.Unlock()
		notify(c.room)
		for _, o := range queue {
			if _, err := c.outputs[o.stream].Write(o.data); err != nil {
				c.end(err)
				return err
			}
		}
		if len(queue) > 0 {
			continue
		}
		if ended {
			return err
		}
		select {
		case <-c.more:
		case <-c.closed:
		}
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
