// Package when chooses what a rule in the configuration of a shipped plugin is
// for. The rules of all of them begin alike:
//
//	rules:
//	  - when:
//	      name: web-*
//	      image: registry.acme.com/*
//	      namespace: "!kube-system"
//	      labels: {tier: "front|back", owner: "*"}
//
// and hold where all that is given matches; a rule without when holds always.
package when

import (
	"context"

	"github.com/distribution/reference"

	"github.com/pouchfx/pouchfx/plugins"
)

// When says what a rule is for. The zero When matches everything.
type When struct {
	// Name of the container, volume or route.
	Name *Pattern `yaml:"name"`
	// Image as the client wrote it, or in full:
	// docker.io/library/busybox:latest.
	Image *Pattern `yaml:"image"`
	// Namespace is that of the pod; empty outside Kubernetes.
	Namespace *Pattern `yaml:"namespace"`
	// Labels are patterns for the values of labels. A label that is missing
	// matches only a pattern that is negated.
	Labels map[string]*Pattern `yaml:"labels"`
}

// Object is what a rule is held against.
type Object struct {
	Name, Image, Namespace string
	Labels                 map[string]string
}

// Matches reports whether all that When gives matches.
func (w *When) Matches(o Object) bool {
	if w == nil {
		return true
	}
	if !w.Name.match(o.Name) || !w.Namespace.match(o.Namespace) || !w.image(o.Image) {
		return false
	}
	for key, pattern := range w.Labels {
		value, ok := o.Labels[key]
		if ok && !pattern.match(value) || !ok && !pattern.negated() {
			return false
		}
	}
	return true
}

// image tries both spellings; a negated pattern must match with both.
func (w *When) image(name string) bool {
	if w.Image == nil {
		return true
	}
	full := name
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		full = reference.TagNameOnly(named).String()
	}
	if w.Image.negated() {
		return w.Image.match(name) && w.Image.match(full)
	}
	return w.Image.match(name) || w.Image.match(full)
}

// Asked is the object that the request of a hook's context is about. Of a
// container that is yet to be made it knows the name and the namespace of its
// pod; image and labels are in the configuration.
func Asked(ctx context.Context) Object {
	r := plugins.RequestFrom(ctx)
	return Object{Name: r.Name, Image: r.Image, Namespace: r.Pod.Namespace, Labels: r.Labels}
}
