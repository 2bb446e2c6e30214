// Package limit reads limits of containers as people write them, 512m or
// nofile=1024:2048, and puts them where Docker's API has them. The rules of the
// shipped plugins that take limits from an older orchestrator's variables and
// labels are made of it.
package limit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/types"
)

// Field is one field of a container's host configuration, by the name of docker
// run's option for it: memory, cpus, ulimits. One limit or sysctl of several is
// ulimits.nofile or sysctls.net.core.somaxconn.
type Field struct {
	name string
	kind *kind
	of   string // nofile
}

// kind is what the fields of one name have in common.
type kind struct {
	name string
	// key is that of Docker's API; empty where an update cannot change it.
	key string
	// rivals are keys that say the same in another way, so that both together
	// are a conflict.
	rivals []string
	// parts says that fields of this name may be one of several.
	parts bool
	// read parses a text. of is the part that the text is for, if it is for one.
	read func(text, of string) (value, error)
}

// value is what a text says.
type value interface {
	// put puts it where it is not set, or in any case.
	put(h *types.HostConfig, override bool)
	// json is it as Docker's API has it.
	json() (json.RawMessage, error)
}

// UnmarshalText finds the field of a name.
func (f *Field) UnmarshalText(text []byte) error {
	name, of, isPart := strings.Cut(string(text), ".")
	all := kinds()
	at := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if at < 0 {
		return fmt.Errorf("%q is no field: use one of %s", text, names(all))
	}
	k := &all[at]
	if isPart && !k.parts {
		return fmt.Errorf("%q is no field: %s is one value", text, name)
	}
	if isPart && (of == "" || strings.ContainsAny(of, "=, \t\n\x00")) {
		return fmt.Errorf("%q is no field: write %s.NAME", text, name)
	}
	if isPart && name == "ulimits" {
		if _, err := units.ParseUlimit(of + "=1"); err != nil {
			return fmt.Errorf("%q is no field: setrlimit(2) has no limit %s", text, of)
		}
	}
	*f = Field{string(text), k, of}
	return nil
}

// String is the field's name.
func (f Field) String() string { return f.name }

// IsZero reports that no field was given.
func (f Field) IsZero() bool { return f.kind == nil }

// Key is the field's key in the body of an update; empty where updates cannot
// change it.
func (f Field) Key() string { return f.kind.key }

// Rivals are keys of which the field is another way to say the same: NanoCpus
// of CpuQuota.
func (f Field) Rivals() []string { return f.kind.rivals }

// JSON is what text says as the value of Key.
func (f Field) JSON(text string) (json.RawMessage, error) {
	v, err := f.kind.read(text, f.of)
	if err != nil {
		return nil, err
	}
	return v.json()
}

// Put sets the field to what text says. What is set already stays, unless
// override says otherwise: then what says the same in another way goes as well.
func (f Field) Put(h *types.HostConfig, text string, override bool) error {
	v, err := f.kind.read(text, f.of)
	if err != nil {
		return err
	}
	v.put(h, override)
	return nil
}

func names(all []kind) string {
	list := make([]string, len(all))
	for i, k := range all {
		list[i] = k.name
		if k.parts {
			list[i] += "[.NAME]"
		}
	}
	return strings.Join(list, ", ")
}

// kinds are all there are. It is a function for the sake of those who configure
// no rule.
func kinds() []kind {
	quota := func(h *types.HostConfig) []*int64 { return []*int64{&h.CPUQuota, &h.CPUPeriod} }
	nano := func(h *types.HostConfig) []*int64 { return []*int64{&h.NanoCPUs} }
	return []kind{
		number("memory", "Memory", size, func(h *types.HostConfig) *int64 { return &h.Memory }),
		number("memory-swap", "MemorySwap", sizeOrAll, func(h *types.HostConfig) *int64 { return &h.MemorySwap }),
		number("memory-reservation", "MemoryReservation", size, func(h *types.HostConfig) *int64 { return &h.MemoryReservation }),
		number("cpus", "NanoCpus", cpus, func(h *types.HostConfig) *int64 { return &h.NanoCPUs }).against(quota, "CpuQuota", "CpuPeriod"),
		number("cpu-shares", "CpuShares", between(0, 1<<18), func(h *types.HostConfig) *int64 { return &h.CPUShares }),
		number("cpu-period", "CpuPeriod", between(0, 1_000_000), func(h *types.HostConfig) *int64 { return &h.CPUPeriod }).against(nano, "NanoCpus"),
		number("cpu-quota", "CpuQuota", between(-1, 1<<50), func(h *types.HostConfig) *int64 { return &h.CPUQuota }).against(nano, "NanoCpus"),
		words("cpuset-cpus", "CpusetCpus", func(h *types.HostConfig) *string { return &h.CpusetCpus }),
		words("cpuset-mems", "CpusetMems", func(h *types.HostConfig) *string { return &h.CpusetMems }),
		{name: "pids-limit", key: "PidsLimit", read: func(text, _ string) (value, error) {
			n, err := between(-1, 1<<22)(text)
			return pids(n), err
		}},
		number("blkio-weight", "BlkioWeight", between(0, 1000), func(h *types.HostConfig) *uint16 { return &h.BlkioWeight }),
		number("shm-size", "", size, func(h *types.HostConfig) *int64 { return &h.ShmSize }),
		number("oom-score-adj", "", between(-1000, 1000), func(h *types.HostConfig) *int { return &h.OomScoreAdj }),
		{name: "ulimits", parts: true, read: readUlimits},
		{name: "sysctls", parts: true, read: readSysctls},
	}
}

// figure is the value of a field that is a number.
type figure[T int | int64 | uint16] struct {
	n      T
	at     func(*types.HostConfig) *T
	rivals func(*types.HostConfig) []*int64
}

func number[T int | int64 | uint16](name, key string, parse func(string) (int64, error), at func(*types.HostConfig) *T) kind {
	return kind{name: name, key: key, read: func(text, _ string) (value, error) {
		n, err := parse(text)
		return figure[T]{n: T(n), at: at}, err
	}}
}

// against names the fields with which a field cannot be together.
func (k kind) against(rivals func(*types.HostConfig) []*int64, keys ...string) kind {
	read := k.read
	k.rivals = keys
	k.read = func(text, of string) (value, error) {
		v, err := read(text, of)
		f := v.(figure[int64])
		f.rivals = rivals
		return f, err
	}
	return k
}

func (f figure[T]) put(h *types.HostConfig, override bool) {
	set := *f.at(h) != 0
	var rivals []*int64
	if f.rivals != nil {
		rivals = f.rivals(h)
	}
	for _, r := range rivals {
		set = set || *r != 0
	}
	if set && !override {
		return
	}
	for _, r := range rivals {
		*r = 0
	}
	*f.at(h) = f.n
}

func (f figure[T]) json() (json.RawMessage, error) {
	return strconv.AppendInt(nil, int64(f.n), 10), nil
}

// pids is the value of pids-limit, of which 0 says something.
type pids int64

func (p pids) put(h *types.HostConfig, override bool) {
	if h.PidsLimit == nil || override {
		n := int64(p)
		h.PidsLimit = &n
	}
}

func (p pids) json() (json.RawMessage, error) { return strconv.AppendInt(nil, int64(p), 10), nil }

// word is the value of a field that is a text.
type word struct {
	text string
	at   func(*types.HostConfig) *string
}

func words(name, key string, at func(*types.HostConfig) *string) kind {
	return kind{name: name, key: key, read: func(text, _ string) (value, error) { return word{text, at}, cpuset(text) }}
}

func (w word) put(h *types.HostConfig, override bool) {
	if at := w.at(h); *at == "" || override {
		*at = w.text
	}
}

func (w word) json() (json.RawMessage, error) { return json.Marshal(w.text) }

// ulimits are the value of a field of limits of processes.
type ulimits []*container.Ulimit

func readUlimits(text, of string) (value, error) {
	if of != "" {
		text = of + "=" + text
	}
	var all ulimits
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		u, err := units.ParseUlimit(entry)
		if err != nil {
			return nil, fmt.Errorf("%w: write limits of setrlimit(2) as soft:hard, such as nofile=1024:4096", err)
		}
		all = append(all, u)
	}
	if all == nil || of != "" && len(all) > 1 {
		return nil, fmt.Errorf("not a limit: write soft:hard, such as 1024:4096")
	}
	return all, nil
}

func (all ulimits) put(h *types.HostConfig, override bool) {
	for _, u := range all {
		at := slices.IndexFunc(h.Ulimits, func(other *container.Ulimit) bool { return other != nil && other.Name == u.Name })
		switch {
		case at < 0:
			h.Ulimits = append(h.Ulimits, u)
		case override:
			h.Ulimits[at] = u
		}
	}
}

func (all ulimits) json() (json.RawMessage, error) { return json.Marshal(all) }

// sysctls are the value of a field of parameters of the kernel.
type sysctls map[string]string

func readSysctls(text, of string) (value, error) {
	if strings.ContainsAny(text, "\n\x00") {
		return nil, fmt.Errorf("not a parameter of the kernel: it is more than one line")
	}
	if of != "" {
		return sysctls{of: text}, nil
	}
	all := sysctls{}
	for entry := range strings.SplitSeq(text, ",") {
		name, of, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("not parameters of the kernel: write NAME=VALUE, and commas between several")
		}
		all[name] = of
	}
	return all, nil
}

func (all sysctls) put(h *types.HostConfig, override bool) {
	for name, text := range all {
		if _, set := h.Sysctls[name]; set && !override {
			continue
		}
		if h.Sysctls == nil {
			h.Sysctls = make(map[string]string, len(all))
		}
		h.Sysctls[name] = text
	}
}

func (all sysctls) json() (json.RawMessage, error) { return json.Marshal(map[string]string(all)) }
