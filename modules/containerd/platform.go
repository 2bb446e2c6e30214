package containerd

import (
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platform is what this host runs. Unlike containerd's own choice it takes an
// image that does not say what it is for, as those that are made without a
// builder often do, when there is no better one.
func Platform() platforms.MatchComparer { return AnyUnnamed(platforms.Default()) }

// AnyUnnamed lets a matcher of platforms take images that name none.
func AnyUnnamed(m platforms.MatchComparer) platforms.MatchComparer { return anyUnnamed{m} }

type anyUnnamed struct{ platforms.MatchComparer }

func (m anyUnnamed) Match(p ocispec.Platform) bool {
	return p.Architecture == "" || m.MatchComparer.Match(p)
}

// Less puts the platforms that the inner matcher takes first.
func (m anyUnnamed) Less(a, b ocispec.Platform) bool {
	if (a.Architecture == "") != (b.Architecture == "") {
		return a.Architecture != ""
	}
	return m.MatchComparer.Less(a, b)
}
