package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/moby/client"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

// daemon is a process of this same program.
type daemon struct {
	*client.Client
	root   string
	cmd    *exec.Cmd
	exited chan error
}

// startDaemon starts the target demo on a root, with a configuration for its
// plugins, and waits until it answers.
func startDaemon(ctx context.Context, root, plugins string) (*daemon, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &daemon{root: root, exited: make(chan error, 1)}
	config := fmt.Sprintf("hosts: [%q]\ncri-host: %q\ncri: {cgroup-driver: cgroupfs}\ndata-root: %q\nexec-root: %q\n%s",
		d.host(), d.criHost(), d.file("data"), d.file("run"), plugins)
	if err := os.WriteFile(d.file("config.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(d.file("log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(executable, "serve", "--target", "demo", "--config-file", d.file("config.yaml"), "--timeline-file", d.file("timeline.json"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// Out of the terminal's process group: it is stopped by us, in order.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if d.Client, err = client.New(client.WithHost(d.host())); err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the daemon: %w", err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	return d, d.await(ctx)
}

func (d *daemon) file(name string) string { return filepath.Join(d.root, name) }

func (d *daemon) host() string { return "unix://" + d.file("api.sock") }

func (d *daemon) criHost() string { return "unix://" + d.file("cri.sock") }

// await waits until the daemon answers, or has exited.
func (d *daemon) await(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := d.Ping(ctx, client.PingOptions{}); err == nil {
			return nil
		}
		select {
		case err := <-d.exited:
			d.exited <- err
			return fmt.Errorf("the daemon did not start: %w", errors.Join(err, d.complaint()))
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not answer: %w", errors.Join(context.Cause(ctx), d.complaint()))
		case <-tick.C:
		}
	}
}

// stop ends the daemon as an administrator would. It is safe to call again.
func (d *daemon) stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.exited:
		d.exited <- err
		if err != nil {
			return fmt.Errorf("the daemon did not stop in order: %w", errors.Join(err, d.complaint()))
		}
		return nil
	case <-time.After(40 * time.Second):
		_ = d.cmd.Process.Kill()
		return fmt.Errorf("the daemon did not stop within 40s and was killed: %w", d.complaint())
	}
}

// complaint is the end of the daemon's log.
func (d *daemon) complaint() error {
	text, _ := os.ReadFile(d.file("log"))
	return fmt.Errorf("its log ends:\n%s", text[max(0, len(text)-4096):])
}

// timeline is what the daemon started and stopped. It is there when the daemon
// has stopped.
func (d *daemon) timeline() ([]lifecycle.Entry, error) {
	text, err := os.ReadFile(d.file("timeline.json"))
	if err != nil {
		return nil, err
	}
	var entries []lifecycle.Entry
	return entries, json.Unmarshal(text, &entries)
}

// get asks the daemon for what Docker's client does not know, and decodes the
// answer into v.
func (d *daemon) get(ctx context.Context, path string, v any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon"+path, nil)
	if err != nil {
		return nil, err
	}
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.Dialer()(ctx)
	}}}
	res, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return res.Header, json.NewDecoder(io.LimitReader(res.Body, 4<<20)).Decode(v)
}
