package nri

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
)

// PreUpdate refuses updates that would bring hooks of their own, and leaves all
// others alone.
func (p *Plugin) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	const most = 16 << 20
	text, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, err
	}
	if len(text) > most {
		return nil, errors.New("the update is too big to be looked through")
	}
	var update struct{ SpecAnnotation map[string]string }
	if json.Unmarshal(text, &update) == nil { // what is malformed is refused by the daemon
		if err := refuseForged(update.SpecAnnotation); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}
