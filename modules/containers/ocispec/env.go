package ocispec

import (
	"slices"
	"strings"
)

// MergeEnv returns env with the entries of changes: "K=V" replaces K or is
// added, and "K" removes it. Neither argument is changed.
func MergeEnv(env, changes []string) []string {
	merged := slices.Clone(env)
	for _, change := range changes {
		name, _, set := strings.Cut(change, "=")
		at := slices.IndexFunc(merged, func(e string) bool {
			n, _, _ := strings.Cut(e, "=")
			return n == name
		})
		switch {
		case !set && at >= 0:
			merged = slices.Delete(merged, at, at+1)
		case set && at >= 0:
			merged[at] = change
		case set:
			merged = append(merged, change)
		}
	}
	return merged
}
