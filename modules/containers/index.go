package containers

import (
	"slices"
	"strings"
	"sync"
)

// index finds containers by id, prefix of an id, and name. A name can be
// taken before its container is there.
type index struct {
	mu    *sync.RWMutex
	byID  map[string]*ctr
	names map[string]string // name to id; the id of a reservation is empty
	ids   []string          // sorted, for prefixes
}

func newIndex() index {
	return index{mu: new(sync.RWMutex), byID: make(map[string]*ctr), names: make(map[string]string)}
}

// reserve takes a name for what is being made.
func (x *index) reserve(name string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := x.taken(name)
	if err == nil {
		x.names[name] = ""
	}
	return err
}

// free reports whom a name belongs to, if it does to somebody.
func (x *index) free(name string) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.taken(name)
}

// taken is free for those who hold the lock.
func (x *index) taken(name string) error {
	id, taken := x.names[name]
	switch {
	case !taken:
		return nil
	case id == "":
		return conflict("Conflict. The container name \"/%s\" is already in use by a container that is being created. You have to remove (or rename) that container to be able to reuse that name.", name)
	}
	return conflict("Conflict. The container name \"/%s\" is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", name, id)
}

// reserveInvented takes a name that nobody chose.
func (x *index) reserveInvented() string {
	for range 10 {
		if name := inventName(); x.reserve(name) == nil {
			return name
		}
	}
	for {
		if name := inventName() + "_" + newID()[:8]; x.reserve(name) == nil {
			return name
		}
	}
}

// release gives a name back.
func (x *index) release(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.names, name)
}

// rename moves a container from one name to another, which it has reserved.
func (x *index) rename(c *ctr, from, to string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.names, from)
	x.names[to] = c.id
}

// add makes a container known under the name that was reserved for it.
func (x *index) add(c *ctr) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, taken := x.byID[c.id]; taken {
		return conflict("Conflict. The container id %s is already in use.", c.id)
	}
	x.byID[c.id] = c
	x.names[c.record().Name] = c.id
	at, _ := slices.BinarySearch(x.ids, c.id)
	x.ids = slices.Insert(x.ids, at, c.id)
	return nil
}

// remove forgets a container and its name.
func (x *index) remove(c *ctr) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID[c.id] != c {
		return
	}
	delete(x.byID, c.id)
	if name := c.record().Name; x.names[name] == c.id {
		delete(x.names, name)
	}
	if at, ok := slices.BinarySearch(x.ids, c.id); ok {
		x.ids = slices.Delete(x.ids, at, at+1)
	}
}

// get finds a container by full id, name, or unique prefix of an id.
func (x *index) get(ref string) (*ctr, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if c, ok := x.byID[ref]; ok {
		return c, nil
	}
	if c, ok := x.byID[x.names[strings.TrimPrefix(ref, "/")]]; ok {
		return c, nil
	}
	if ref != "" {
		at, _ := slices.BinarySearch(x.ids, ref)
		found := x.ids[at:min(at+2, len(x.ids))]
		switch {
		case len(found) == 2 && strings.HasPrefix(found[1], ref):
			return nil, invalid("multiple IDs found with provided prefix: %s", ref)
		case len(found) > 0 && strings.HasPrefix(found[0], ref):
			return x.byID[found[0]], nil
		}
	}
	return nil, notFound("No such container: %s", ref)
}

// all returns the containers in no order.
func (x *index) all() []*ctr {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]*ctr, 0, len(x.byID))
	for _, c := range x.byID {
		list = append(list, c)
	}
	return list
}
