package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moby/moby/client"
)

const (
	// askTimeout bounds a question to a daemon, with its plugins.
	askTimeout = 2 * time.Minute
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 32 << 20
)

// ask sends a request to a running daemon and decodes its answer. Certificates
// for tcp come from the environment as the docker command takes them.
func ask(ctx context.Context, host, method, path string, body io.Reader, answer any) error {
	status, text, err := send(ctx, host, method, path, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		told := struct{ Message string }{}
		if json.Unmarshal(text, &told) == nil && told.Message != "" {
			return errors.New(told.Message)
		}
		return fmt.Errorf("the daemon at %s answers %d %s", host, status, http.StatusText(status))
	}
	return decode(host, text, answer)
}

func decode(host string, text []byte, answer any) error {
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the daemon at %s does not answer as one of this version: %w", host, err)
	}
	return nil
}

// send sends a request and returns the answer as it is.
func send(ctx context.Context, host, method, path string, body io.Reader) (status int, text []byte, err error) {
	daemon, err := client.New(client.WithTLSClientConfigFromEnv(), client.WithHost(host))
	if err != nil {
		return 0, nil, err
	}
	defer daemon.Close()
	web := http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return daemon.Dialer()(ctx)
		}},
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := web.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot ask the daemon at %s: %w", host, err)
	}
	defer res.Body.Close()
	text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("the daemon at %s broke off its answer: %w", host, err)
	}
	return res.StatusCode, text, nil
}
