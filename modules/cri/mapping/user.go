package mapping

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

func showUser(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	s := r.GetConfig().GetLinux().GetSecurityContext()
	user, group := s.GetRunAsUsername(), ""
	if id := s.GetRunAsUser(); user == "" && id != nil {
		user = strconv.FormatInt(id.GetValue(), 10)
	}
	if id := s.GetRunAsGroup(); id != nil {
		group = ":" + strconv.FormatInt(id.GetValue(), 10)
	}
	c.User = user + group
	for _, id := range s.GetSupplementalGroups() {
		c.HostConfig.GroupAdd = append(c.HostConfig.GroupAdd, strconv.FormatInt(id, 10))
	}
}

func carryUser(c *change) {
	was, wasGroup, _ := strings.Cut(c.before.User, ":")
	take(&c.edits, "User", &c.before.User, c.after.User, func(text string) error {
		user, group, _ := strings.Cut(text, ":")
		if user == "" && group != "" {
			return errors.New("CRI takes no group without a user")
		}
		if user != was {
			c.setUser(user)
		}
		if group == wasGroup {
			return nil
		}
		if group == "" {
			c.security().RunAsGroup = nil
			return nil
		}
		id, err := number(group)
		if err != nil {
			return err
		}
		own(&c.security().RunAsGroup).Value = id
		return nil
	})
	take(&c.edits, "HostConfig.GroupAdd", &c.before.HostConfig.GroupAdd, c.after.HostConfig.GroupAdd, func(groups []string) error {
		var ids []int64
		for _, group := range groups {
			id, err := number(group)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		c.security().SupplementalGroups = ids
		return nil
	})
}

// setUser sets the user by number or by name; an empty one is the image's.
func (c *change) setUser(user string) {
	s := c.security()
	if id, err := number(user); err == nil {
		own(&s.RunAsUser).Value, s.RunAsUsername = id, ""
		return
	}
	s.RunAsUser, s.RunAsUsername = nil, user
}

func number(group string) (int64, error) {
	id, err := strconv.ParseUint(group, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("the group %q is no number from 0 to %d, which is all that CRI takes", group, math.MaxInt32)
	}
	return int64(id), nil
}
