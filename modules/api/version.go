package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

// version is a version of the API.
type version struct{ major, minor int }

// The newest version served, which a path without a version means, and the
// oldest.
var (
	maxVersion = version{1, 44}
	minVersion = version{1, 24}
)

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) less(o version) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}

// atLeast reports whether a version is 1.minor or newer.
func (v version) atLeast(minor int) bool { return !v.less(version{1, minor}) }

// splitVersion takes the version off a path: "/v1.41/info" is 1.41 and
// "/info". Its error is what dockerd tells clients that are too old or new.
func splitVersion(path string) (version, string, error) {
	v, rest, ok := cutVersion(path)
	switch {
	case !ok:
		return maxVersion, path, nil
	case maxVersion.less(v):
		return maxVersion, rest, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
			"client version %s is too new. Maximum supported API version is %s", v, maxVersion))
	case v.less(minVersion):
		return maxVersion, rest, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
			"client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", v, minVersion))
	}
	return v, rest, nil
}

func cutVersion(path string) (v version, rest string, ok bool) {
	text, found := strings.CutPrefix(path, "/v")
	if !found {
		return v, "", false
	}
	text, rest, _ = strings.Cut(text, "/")
	major, minor, _ := strings.Cut(text, ".")
	var err1, err2 error
	v.major, err1 = strconv.Atoi(major)
	v.minor, err2 = strconv.Atoi(minor)
	return v, "/" + rest, err1 == nil && err2 == nil && v.major >= 0 && v.minor >= 0
}

type versionKey struct{}

// versionFrom returns the version that the client of a request speaks.
func versionFrom(ctx context.Context) version {
	if v, ok := ctx.Value(versionKey{}).(version); ok {
		return v
	}
	return maxVersion
}
