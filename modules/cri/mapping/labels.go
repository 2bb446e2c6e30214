package mapping

import (
	"maps"
	"slices"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// reserved keys are how kubelet and containerd find their containers again.
const reserved = "io.kubernetes."

func showLabels(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	c.Labels = maps.Clone(r.GetConfig().GetLabels())
}

func carryLabels(c *change) {
	before := c.before.Labels
	take(&c.edits, "Labels", &c.before.Labels, c.after.Labels, func(after map[string]string) error {
		return differingKeys(before, after, func(key string, value *string) {
			labels := c.config().Labels
			switch {
			case value == nil:
				delete(labels, key)
			case labels == nil:
				c.config().Labels = map[string]string{key: *value}
			default:
				labels[key] = *value
			}
		})
	})
}

func showAnnotations(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	c.SpecAnnotation = maps.Clone(r.GetConfig().GetAnnotations())
}

// carryAnnotations brings changes into the OCI specification, where
// SpecAnnotation belongs and where few of CRI's annotations come. CRI's own
// stay: kubelet asks for them back as it gave them.
func carryAnnotations(c *change) {
	set := func(key string, value *string) {
		if c.extra.Annotations == nil {
			c.extra.Annotations = map[string]*string{}
		}
		c.extra.Annotations[key] = value
	}
	take(&c.edits, "HostConfig.Annotations", &c.before.HostConfig.Annotations, c.after.HostConfig.Annotations, func(after map[string]string) error {
		return differingKeys(nil, after, set)
	})
	before := c.before.SpecAnnotation
	take(&c.edits, "SpecAnnotation", &c.before.SpecAnnotation, c.after.SpecAnnotation, func(after map[string]string) error {
		return differingKeys(before, after, set)
	})
}

// differingKeys calls f for each key that has another value after, or nil for
// one that has none. It refuses reserved keys.
func differingKeys(before, after map[string]string, f func(key string, value *string)) error {
	keys := slices.Collect(maps.Keys(before))
	keys = slices.AppendSeq(keys, maps.Keys(after))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		old, was := before[key]
		value, is := after[key]
		switch {
		case was == is && old == value:
		case strings.HasPrefix(key, reserved):
			return invalid("%s is not a hook's to change", key)
		case is:
			f(key, &value)
		default:
			f(key, nil)
		}
	}
	return nil
}
