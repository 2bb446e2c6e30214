// Package explain keeps with a container who changed it: what the hooks of
// plugins did when it was created, started and updated. It is kept as an
// extension of containerd's record of the container, for Docker's containers
// and CRI's alike, and goes with it.
package explain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pouchfx/pouchfx/modules/registry"
)

const (
	// Extension is the key of the explanation among a container's extensions.
	Extension = "pouchfx.explain"
	// typeURL names the layout. It changes when older versions could not read
	// what is written.
	typeURL = "pouchfx/v1/Explanation"

	// MaxSize bounds an explanation, in bytes of JSON.
	MaxSize = 256 << 10
	// maxLast bounds the lists that go on growing while a container lives.
	maxLast = 100
)

// Explanation is what plugins did to a container.
type Explanation struct {
	// Create is what PreCreateContainer, PreCreate, and PreVolumeCreate for
	// the volumes that it implied, did.
	Create []registry.Change
	// Start is what PreStart and PreCreateEndpoint did at the last start at
	// which such hooks did something.
	Start []registry.Change `json:",omitempty"`
	// Connect is what PreCreateEndpoint did at the last connects since.
	Connect []registry.Change `json:",omitempty"`
	// Update is what PreUpdate did, at the last updates.
	Update []registry.Change `json:",omitempty"`
	// Forgotten counts what was dropped to keep within bounds: connects,
	// updates, and patches.
	Forgotten int `json:",omitempty"`
}

// Empty reports whether there is nothing to tell.
func (e *Explanation) Empty() bool { return e.count() == 0 && e.Forgotten == 0 }

func (e *Explanation) count() int {
	return len(e.Create) + len(e.Start) + len(e.Connect) + len(e.Update)
}

// Encode makes the extension, as JSON does.
func (e *Explanation) Encode() (typeurl.Any, error) {
	text, err := e.JSON()
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: typeURL, Value: text}, nil
}

// JSON returns what is to be kept, within bounds: the oldest connects and
// updates go first, then the largest patches, whose changes then say so.
func (e *Explanation) JSON() (json.RawMessage, error) {
	e.keepLast(&e.Connect, maxLast)
	e.keepLast(&e.Update, maxLast)
	for {
		text, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("cannot encode what plugins changed: %w", err)
		}
		if len(text) <= MaxSize {
			return text, nil
		}
		if longer := e.longer(); len(*longer) > 1 {
			e.keepLast(longer, len(*longer)/2)
		} else if !e.omitLargest() {
			e.Forgotten += e.count()
			e.Create, e.Start, e.Connect, e.Update = nil, nil, nil, nil
		}
	}
}

// longer returns the longer one of the lists that go on growing.
func (e *Explanation) longer() *[]registry.Change {
	if len(e.Connect) > len(e.Update) {
		return &e.Connect
	}
	return &e.Update
}

func (e *Explanation) keepLast(list *[]registry.Change, n int) {
	if drop := len(*list) - n; drop > 0 {
		*list = (*list)[drop:]
		e.Forgotten += drop
	}
}

// omitLargest drops the largest patch, or else the longest list of fields.
func (e *Explanation) omitLargest() bool {
	var largest *registry.Change
	size := func(c *registry.Change) (n int) {
		for _, f := range c.Fields {
			n += len(f)
		}
		return n + len(c.Patch) + len(c.Error)
	}
	for _, list := range [][]registry.Change{e.Create, e.Start, e.Connect, e.Update} {
		for i := range list {
			if largest == nil || size(&list[i]) > size(largest) {
				largest = &list[i]
			}
		}
	}
	if largest == nil || size(largest) < 1<<10 {
		return false
	}
	largest.Omitted = fmt.Sprintf("%d KiB of changes: more than %d in all are not kept", size(largest)>>10, MaxSize>>10)
	largest.Patch, largest.Error = nil, largest.Error[:min(len(largest.Error), 512)]
	if size(largest) >= 1<<10 {
		largest.Fields = nil
	}
	e.Forgotten++
	return true
}

// Decode reads an explanation from the extensions of a container. Without one,
// as for containers of older versions and those that no plugin saw, it is
// empty and known is false.
func Decode(extensions map[string]typeurl.Any) (e *Explanation, known bool, err error) {
	e = new(Explanation)
	value, ok := extensions[Extension]
	if !ok {
		return e, false, nil
	}
	if url := value.GetTypeUrl(); url != typeURL {
		return e, true, fmt.Errorf("cannot read what plugins changed: it was written by another version of the daemon, as %s, and this one knows %s", url, typeURL)
	}
	if err := json.Unmarshal(value.GetValue(), e); err != nil {
		return e, true, fmt.Errorf("cannot read what plugins changed: %w", err)
	}
	return e, true, nil
}

// Note adds to the explanation of a container what note does to it. What
// cannot be read is replaced. The caller keeps others from doing the same.
func Note(ctx context.Context, store containers.Store, id string, note func(*Explanation)) error {
	record, err := store.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("cannot keep what plugins changed: %w", err)
	}
	e, _, err := Decode(record.Extensions)
	if err != nil {
		e = &Explanation{Forgotten: 1}
	}
	note(e)
	value, err := e.Encode()
	if err != nil {
		return err
	}
	update := containers.Container{ID: id, Extensions: map[string]typeurl.Any{Extension: value}}
	if _, err := store.Update(ctx, update, "extensions."+Extension); err != nil {
		return fmt.Errorf("cannot keep what plugins changed: %w", err)
	}
	return nil
}

// DryRun is what a create would have done.
type DryRun struct {
	// Explain is what each plugin did.
	Explain *Explanation
	// Config is what the container would have been made from, a
	// *types.ContainerCreateConfig; nil when a plugin refused.
	Config any `json:",omitempty"`
	// Warnings are those that the client would have got.
	Warnings []string `json:",omitempty"`
	// Error is why nothing would have been made, or what could not be undone.
	Error string `json:",omitempty"`
}
