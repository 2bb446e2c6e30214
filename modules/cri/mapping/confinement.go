package mapping

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

const unconfined = "unconfined"

// confinement is what Docker's SecurityOpt says.
type confinement struct {
	noNewPrivileges bool
	// seccomp is "unconfined", empty for the default profile, the absolute path
	// of one, or one itself: JSON.
	seccomp string
	// apparmor is "unconfined", empty for the default profile, or one's name.
	apparmor string
	// label has the keys user, role, type and level.
	label [4]string
}

var labelKeys = [4]string{"user", "role", "type", "level"}

func showConfinement(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	s := r.GetConfig().GetLinux().GetSecurityContext()
	label := s.GetSelinuxOptions()
	//lint:ignore SA1019 older kubelets set them, and containerd heeds them
	olderSeccomp, olderAppArmor := s.GetSeccompProfilePath(), s.GetApparmorProfile()
	c.HostConfig.SecurityOpt = confinement{
		noNewPrivileges: s.GetNoNewPrivs(),
		// Without a word about it CRI's containers have no seccomp profile, but the
		// default one of AppArmor.
		seccomp:  profile(s.GetSeccomp(), olderSeccomp, unconfined),
		apparmor: profile(s.GetApparmor(), olderAppArmor, ""),
		label:    [4]string{label.GetUser(), label.GetRole(), label.GetType(), label.GetLevel()},
	}.options()
}

// localhost begins the older form of a profile's name.
const localhost = "localhost/"

// profile names a profile: by CRI's message, by the string that came before it,
// or else by what its absence means.
func profile(p *runtime.SecurityProfile, older, absent string) string {
	switch {
	case p.GetProfileType() == runtime.SecurityProfile_Unconfined, p == nil && older == unconfined:
		return unconfined
	case p.GetProfileType() == runtime.SecurityProfile_Localhost:
		return strings.TrimPrefix(p.GetLocalhostRef(), localhost)
	case p == nil && older == "":
		return absent
	case p == nil && strings.HasPrefix(older, localhost):
		return strings.TrimPrefix(older, localhost)
	}
	return ""
}

func (o confinement) options() (list []string) {
	if o.noNewPrivileges {
		list = append(list, "no-new-privileges")
	}
	if o.seccomp != "" {
		list = append(list, "seccomp="+o.seccomp)
	}
	if o.apparmor != "" {
		list = append(list, "apparmor="+o.apparmor)
	}
	for i, value := range o.label {
		if value != "" {
			list = append(list, "label="+labelKeys[i]+":"+value)
		}
	}
	return list
}

// parse reads SecurityOpt. The last word counts, as in Docker.
func parse(list []string) (o confinement, err error) {
	for _, option := range list {
		at := strings.IndexAny(option, "=:") // the colon is the older form
		key, value := option, ""
		if at >= 0 {
			key, value = option[:at], option[at+1:]
		}
		switch {
		case option == "no-new-privileges":
			o.noNewPrivileges = true
		case key == "no-new-privileges":
			if o.noNewPrivileges, err = strconv.ParseBool(value); err != nil {
				return o, fmt.Errorf("%q: neither true nor false", option)
			}
		case key == "seccomp" && at >= 0:
			if o.seccomp = value; value == "builtin" {
				o.seccomp = ""
			}
		case key == "apparmor" && at >= 0:
			o.apparmor = value
		case key == "label" && o.setLabel(value):
		default:
			return o, fmt.Errorf("CRI cannot say %q", option)
		}
	}
	return o, nil
}

func (o *confinement) setLabel(text string) bool {
	key, value, ok := strings.Cut(text, ":")
	for i, known := range labelKeys {
		if ok && key == known {
			o.label[i] = value
			return true
		}
	}
	return false
}

func carryConfinement(c *change) {
	was, _ := parse(c.before.HostConfig.SecurityOpt) // ours
	take(&c.edits, "HostConfig.SecurityOpt", &c.before.HostConfig.SecurityOpt, c.after.HostConfig.SecurityOpt, func(list []string) error {
		now, err := parse(list)
		if err != nil {
			return err
		}
		if now.noNewPrivileges != was.noNewPrivileges {
			c.security().NoNewPrivs = now.noNewPrivileges
		}
		if now.label != was.label {
			l := own(&c.security().SelinuxOptions)
			l.User, l.Role, l.Type, l.Level = now.label[0], now.label[1], now.label[2], now.label[3]
		}
		if now.apparmor != was.apparmor {
			c.setAppArmor(now.apparmor)
		}
		if now.seccomp != was.seccomp {
			return c.setSeccomp(now.seccomp)
		}
		return nil
	})
}

// setAppArmor leaves the default one to the runtime, which knows whether the
// host has AppArmor at all.
func (c *change) setAppArmor(name string) {
	s := c.security()
	switch name {
	case "":
		//lint:ignore SA1019 it would count
		s.Apparmor, s.ApparmorProfile = nil, ""
	case unconfined:
		p := own(&s.Apparmor)
		p.ProfileType, p.LocalhostRef = runtime.SecurityProfile_Unconfined, ""
	default:
		p := own(&s.Apparmor)
		p.ProfileType, p.LocalhostRef = runtime.SecurityProfile_Localhost, name
	}
}

func (c *change) setSeccomp(value string) error {
	if value != "" && value != unconfined && !path.IsAbs(value) {
		// Docker's own form, a profile as JSON, which the specification can hold.
		if _, err := seccomp.LoadProfile(value, &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}); err != nil {
			return fmt.Errorf("seccomp wants a profile as JSON, the path of one on the host, builtin or unconfined: %w", err)
		}
		c.extra.Seccomp = value
		return nil
	}
	if value != unconfined && c.after.HostConfig.Privileged {
		return errors.New("containerd gives a privileged container no seccomp profile of a file, or its own")
	}
	p := own(&c.security().Seccomp)
	p.LocalhostRef = ""
	switch value {
	case "":
		p.ProfileType = runtime.SecurityProfile_RuntimeDefault
	case unconfined:
		p.ProfileType = runtime.SecurityProfile_Unconfined
	default:
		p.ProfileType, p.LocalhostRef = runtime.SecurityProfile_Localhost, value
	}
	return nil
}
