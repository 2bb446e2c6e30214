package podpolicy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/types"
)

// Limits are what a container may use. What is zero is left alone.
type Limits struct {
	// Memory is in bytes.
	Memory Bytes `yaml:"memory"`
	// CPUs is how many processors' time, such as 0.5.
	CPUs float64 `yaml:"cpus"`
	// CPUShares is the weight among others when time is short; 1024 is usual.
	CPUShares uint32 `yaml:"cpu-shares"`
	// Pids is how many processes and threads.
	Pids uint32 `yaml:"pids"`
	// Ulimits are those of processes, as nofile: "1024:4096", soft and hard.
	Ulimits map[string]string `yaml:"ulimits"`
}

// Bytes is a size, written as 512m or 1g.
type Bytes int64

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a size: write bytes, or a number with a unit, such as 512m or 1g", text)
	}
	*b = Bytes(n)
	return nil
}

// Validate reports limits that cannot be set.
func (l Limits) Validate() error {
	if l.CPUs != 0 && (l.CPUs < 0.01 || l.CPUs > 1<<20) {
		return fmt.Errorf("cpus %v: write how many processors' time, at least 0.01", l.CPUs)
	}
	_, err := l.ulimits()
	return err
}

func (l Limits) ulimits() (all []*container.Ulimit, err error) {
	for name, value := range l.Ulimits {
		u, err := units.ParseUlimit(name + "=" + value)
		if err != nil {
			return nil, fmt.Errorf("ulimit %s: %q: write soft:hard, as in \"1024:4096\", of a limit that setrlimit(2) has: %w", name, value, err)
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *container.Ulimit) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// period is the usual one in which processors' time is counted, in
// microseconds.
const period = 100_000

// apply sets the limits: those that the container does not have, or all.
func (l Limits) apply(r *types.Resources, ulimits []*container.Ulimit, override bool) {
	if l.Memory != 0 && (override || r.Memory <= 0) {
		r.Memory = int64(l.Memory)
	}
	if l.CPUs != 0 && (override || cpusOf(r) == 0) {
		if r.CPUPeriod <= 0 {
			r.CPUPeriod = period
		}
		r.CPUQuota, r.NanoCPUs = int64(l.CPUs*float64(r.CPUPeriod)), 0
	}
	// 2 is what Kubernetes asks for where a pod asks for nothing.
	if l.CPUShares != 0 && (override || r.CPUShares <= 2) {
		r.CPUShares = int64(l.CPUShares)
	}
	if l.Pids != 0 && (override || pidsOf(r) == 0) {
		n := int64(l.Pids)
		r.PidsLimit = &n
	}
	for _, u := range ulimits {
		at := slices.IndexFunc(r.Ulimits, func(other *container.Ulimit) bool { return other != nil && other.Name == u.Name })
		own := *u
		switch {
		case at < 0:
			r.Ulimits = append(r.Ulimits, &own)
		case override:
			r.Ulimits[at] = &own
		}
	}
}

// cpusOf is how many processors' time a container may use; 0 without a limit.
func cpusOf(r *types.Resources) float64 {
	switch {
	case r.NanoCPUs > 0:
		return float64(r.NanoCPUs) / 1e9
	case r.CPUQuota > 0 && r.CPUPeriod > 0:
		return float64(r.CPUQuota) / float64(r.CPUPeriod)
	case r.CPUQuota > 0:
		return float64(r.CPUQuota) / period
	}
	return 0
}

// pidsOf is how many processes a container may have; 0 without a limit.
func pidsOf(r *types.Resources) int64 {
	if r.PidsLimit == nil || *r.PidsLimit < 0 {
		return 0
	}
	return *r.PidsLimit
}

var errReserved = errors.New("it begins with io.kubernetes., which is kubelet's: use another name")
