package mapping

import (
	"bytes"
	"encoding/json"
	"io"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/jsonbody"
	"github.com/pouchfx/pouchfx/types"
)

// UpdateBody is the body that Docker's API would have got for an update: a
// types.UpdateConfig as JSON. What CRI alone has, huge pages and the files of
// cgroup v2, is not in it, and stays as it is.
func UpdateBody(r *runtime.UpdateContainerResourcesRequest) ([]byte, error) {
	var u types.UpdateConfig
	showResources(r.GetLinux(), &u.Resources)
	return json.Marshal(u)
}

// ApplyUpdate writes into r what differs between two bodies, of which before
// is UpdateBody(r), and tells whether r is another than it was. Zero leaves a
// limit as it is, for Docker and for CRI. Unknown keys are ignored, as Docker
// does. The error is an errdefs.ErrInvalidArgument that names the fields that
// cannot be carried; r is then not to be used.
func ApplyUpdate(r *runtime.UpdateContainerResourcesRequest, before, after []byte) (changed bool, err error) {
	if bytes.Equal(before, after) {
		return false, nil
	}
	b, err := decodeUpdate(before)
	if err != nil {
		return false, err
	}
	a, err := decodeUpdate(after)
	if err != nil {
		return false, err
	}
	var e edits
	e.takeResources("", func() *runtime.LinuxContainerResources {
		changed = true
		return own(&r.Linux)
	}, &b.Resources, &a.Resources)
	e.refuseRest("", *b, *a)
	if err := e.err(); err != nil {
		return false, err
	}
	return changed, nil
}

func decodeUpdate(body []byte) (*types.UpdateConfig, error) {
	var u types.UpdateConfig
	err := jsonbody.Decode(bytes.NewReader(body), &u)
	if err == io.EOF {
		err = invalid("the body of the update is empty: return the one that the hook got to change nothing")
	}
	return &u, err
}
