package containers

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// matcher is what the filters of ps ask for, read once for all containers.
type matcher struct {
	all           bool
	args          filters.Args
	exited        map[int]bool
	before, since *ctr
	ancestors     map[string]bool // image ids and references
	networks      map[string]bool // names
	published     []port          // on the host
	exposed       []port          // by the container
}

type port struct {
	low, high uint16
	proto     network.IPProtocol
}

func (s *Service) newMatcher(ctx context.Context, o ListOptions) (*matcher, error) {
	f := o.Filters
	if err := f.Validate("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation",
		"label", "label!", "name", "network", "publish", "since", "status", "volume"); err != nil {
		return nil, err
	}
	m := &matcher{all: o.All || o.Limit > 0, args: f, exited: map[int]bool{}, ancestors: map[string]bool{}, networks: map[string]bool{}}
	for _, text := range f.Get("status") {
		if err := container.ValidateContainerState(container.ContainerState(text)); err != nil {
			return nil, invalid("%v", err)
		}
		m.all = true
	}
	for _, text := range f.Get("health") {
		if err := container.ValidateHealthStatus(container.HealthStatus(text)); err != nil {
			return nil, invalid("%v", err)
		}
	}
	for _, text := range f.Get("exited") {
		code, err := strconv.Atoi(text)
		if err != nil {
			return nil, invalid("invalid filter 'exited=%s': use an exit code", text)
		}
		m.exited[code] = true
		m.all = true
	}
	var err error
	if m.before, err = s.neighbour(f, "before"); err != nil {
		return nil, err
	}
	if m.since, err = s.neighbour(f, "since"); err != nil {
		return nil, err
	}
	for _, ref := range f.Get("ancestor") {
		m.ancestors[ref] = true
		img, err := s.Images.Resolve(ctx, ref)
		if err == nil {
			m.ancestors[img.ID.String()] = true
		} else if !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
			return nil, err
		}
	}
	for _, ref := range f.Get("network") {
		m.networks[ref] = true
		if n, err := s.Networks.Find(ref); err == nil {
			m.networks[n.Name] = true
		}
	}
	if m.published, err = ports(f, "publish"); err != nil {
		return nil, err
	}
	m.exposed, err = ports(f, "expose")
	return m, err
}

// neighbour is the container that before or since names.
func (s *Service) neighbour(f filters.Args, key string) (*ctr, error) {
	if !f.Has(key) {
		return nil, nil
	}
	return s.index.get(f.Get(key)[0])
}

// ports reads 80, 80/udp and 8000-8080/tcp.
func ports(f filters.Args, key string) ([]port, error) {
	var list []port
	for _, text := range f.Get(key) {
		r, err := network.ParsePortRange(text)
		if err != nil {
			return nil, invalid("invalid filter '%s=%s': %v", key, text, err)
		}
		list = append(list, port{r.Start(), r.End(), r.Proto()})
	}
	return list, nil
}

func (m *matcher) container(c *ctr, status container.ContainerState) bool {
	r, f := c.record(), m.args
	switch {
	case !f.Prefix("id", c.id),
		!f.Match("name", r.Name) && !f.Match("name", "/"+r.Name),
		!f.Labels(r.Config.Labels),
		f.Has("status") && !f.Exact("status", string(status)),
		f.Has("health") && !f.Exact("health", healthStatus(c)),
		f.Has("is-task") && !f.Exact("is-task", "false"),
		f.Has("isolation") && !f.Exact("isolation", "default"),
		len(m.exited) > 0 && (status != statusExited || !m.exited[r.State.ExitCode]),
		m.before != nil && (c == m.before || newestFirst(c, m.before) <= 0),
		m.since != nil && (c == m.since || newestFirst(c, m.since) >= 0),
		len(m.ancestors) > 0 && !m.descends(r),
		f.Has("volume") && !m.mounts(r),
		f.Has("network") && !m.joins(r):
		return false
	}
	return true
}

func (m *matcher) descends(r *record) bool {
	if m.ancestors[r.ImageID.String()] || m.ancestors[r.Image] {
		return true
	}
	for ref := range m.ancestors { // a short id
		if len(ref) >= 4 && strings.HasPrefix(strings.TrimPrefix(r.ImageID.String(), "sha256:"), strings.TrimPrefix(ref, "sha256:")) {
			return true
		}
	}
	return false
}

func (m *matcher) mounts(r *record) bool {
	for _, have := range r.Mounts {
		if m.args.Exact("volume", have.Destination) || have.Type == mount.TypeVolume && m.args.Exact("volume", have.Name) ||
			have.Type == mount.TypeBind && m.args.Exact("volume", have.Source) {
			return true
		}
	}
	return false
}

// joins tells whether a container is on one of the networks that are asked for
// by name or id.
func (m *matcher) joins(r *record) bool {
	if mode := r.HostConfig.NetworkMode; !r.ownsNetwork() && m.networks[string(mode)] {
		return true
	}
	for name := range r.NetworkingConfig.EndpointsConfig {
		if m.networks[name] {
			return true
		}
	}
	return false
}

// ports tells whether one of a container's ports is asked for, by publish or
// by expose.
func (m *matcher) ports(list []container.PortSummary) bool {
	if len(m.published) == 0 && len(m.exposed) == 0 {
		return true
	}
	for _, p := range list {
		if among(m.published, p.PublicPort, p.Type) || among(m.exposed, p.PrivatePort, p.Type) {
			return true
		}
	}
	return false
}

func among(asked []port, number uint16, proto string) bool {
	return slices.ContainsFunc(asked, func(want port) bool {
		return number >= want.low && number <= want.high && proto == string(want.proto)
	})
}
