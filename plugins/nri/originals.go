package nri

import (
	"encoding/json"
	"sync"

	"github.com/pouchfx/pouchfx/types"
)

// originals are the configurations of creates in progress as they were before
// the NRI plugins adjusted them. Nobody says when a create succeeded, so that
// only the latest are kept.
type originals struct {
	mu   sync.Mutex
	ids  []string
	text map[string][]byte
}

const mostOriginals = 64

func (o *originals) keep(id string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text == nil {
		o.text = make(map[string][]byte)
	}
	o.ids = append(o.ids, id)
	o.text[id] = text
	for len(o.ids) > mostOriginals {
		delete(o.text, o.ids[0])
		o.ids = o.ids[1:]
	}
}

func (o *originals) take(id string) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, ok := o.text[id]
	delete(o.text, id)
	return text, ok
}

func encode(c *types.ContainerCreateConfig) ([]byte, error) { return json.Marshal(c) }

// decode makes c what it was.
func decode(text []byte, c *types.ContainerCreateConfig) error {
	var original types.ContainerCreateConfig
	if err := json.Unmarshal(text, &original); err != nil {
		return err
	}
	*c = original
	return nil
}
