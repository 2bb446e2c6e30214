package stdio

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/fifo"
)

// Pipes are the named pipes of one process. They implement cio.IO for
// containerd's client, which is not to wait for them: the Hub does.
type Pipes struct {
	Stdin          io.WriteCloser // nil without
	Stdout, Stderr io.ReadCloser  // Stderr is nil with a terminal
	config         cio.Config
	cancel         context.CancelFunc
}

// OpenPipes makes the pipes of a process in dir, under names that begin with
// prefix. Opening does not wait for the shim.
func OpenPipes(dir, prefix string, stdin, terminal bool) (_ *Pipes, err error) {
	// The context bounds the life of the pipes, not that of a request.
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pipes{cancel: cancel, config: cio.Config{Terminal: terminal}}
	defer func() {
		if err != nil {
			p.Release()
		}
	}()
	open := func(name string, flag int) (string, io.ReadWriteCloser, error) {
		path := filepath.Join(dir, prefix+name)
		f, err := fifo.OpenFifo(ctx, path, flag|syscall.O_CREAT|syscall.O_NONBLOCK, 0o600)
		return path, f, err
	}
	var f io.ReadWriteCloser
	if stdin {
		if p.config.Stdin, f, err = open("stdin", syscall.O_WRONLY); err != nil {
			return nil, err
		}
		p.Stdin = f
	}
	if p.config.Stdout, f, err = open("stdout", syscall.O_RDONLY); err != nil {
		return nil, err
	}
	p.Stdout = f
	if !terminal {
		if p.config.Stderr, f, err = open("stderr", syscall.O_RDONLY); err != nil {
			return nil, err
		}
		p.Stderr = f
	}
	return p, nil
}

// ReopenPipes opens the pipes in dir of a process that was started by an
// earlier daemon. What has no writer any more, as the process has ended or has
// closed it, is at its end when it has been read; a pipe that is gone is nil,
// which the error says too. The input is left out unless stdin is set.
func ReopenPipes(dir string, stdin, terminal bool) (*Pipes, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pipes{cancel: cancel, config: cio.Config{Terminal: terminal}}
	var errs []error
	open := func(name string) (string, io.ReadCloser) {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			errs = append(errs, err)
			return path, nil
		}
		return path, f
	}
	p.config.Stdout, p.Stdout = open("stdout")
	if !terminal {
		p.config.Stderr, p.Stderr = open("stderr")
	}
	if stdin {
		p.config.Stdin = filepath.Join(dir, "stdin")
		f, err := fifo.OpenFifo(ctx, p.config.Stdin, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			p.Stdin = f
		}
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// Config names the pipes for the shim.
func (p *Pipes) Config() cio.Config { return p.config }

// Cancel does nothing: only Shut ends the pipes, when the output was read.
func (p *Pipes) Cancel() {}

// Wait does nothing: see Cancel.
func (p *Pipes) Wait() {}

// Close does nothing: see Cancel.
func (p *Pipes) Close() error { return nil }

// Shut closes our ends and removes the pipes.
func (p *Pipes) Shut() error {
	err := p.Release()
	for _, path := range []string{p.config.Stdin, p.config.Stdout, p.config.Stderr} {
		if path == "" {
			continue
		}
		if e := os.Remove(path); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Release closes our ends; the shim keeps its own, so that OpenPipes finds
// the same pipes again.
func (p *Pipes) Release() error {
	p.cancel()
	var errs []error
	for _, c := range []io.Closer{p.Stdin, p.Stdout, p.Stderr} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
