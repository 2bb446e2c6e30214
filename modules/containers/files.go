package containers

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/types"
)

// The files that are made anew at each start and bound into the container,
// unless it has mounts of its own there.
const (
	hostnameFile = "hostname"
	hostsFile    = "hosts"
	resolvFile   = "resolv.conf"
)

var networkFiles = []string{hostnameFile, hostsFile, resolvFile}

// writeFiles makes /etc/hostname, /etc/hosts and /etc/resolv.conf and returns
// their mounts. A container that joins another's network shares its files.
func (s *Service) writeFiles(c *ctr, start *types.Container) ([]specs.Mount, error) {
	dir := s.dir(c.id)
	if mode := start.HostConfig.NetworkMode; mode.IsContainer() {
		other, err := s.index.get(mode.ConnectedContainer())
		if err != nil {
			return nil, err
		}
		dir = s.dir(other.id)
	} else {
		if err := os.WriteFile(filepath.Join(dir, hostnameFile), []byte(start.Config.Hostname+"\n"), 0o644); err != nil {
			return nil, err
		}
		if err := s.writeNames(c, start); err != nil {
			return nil, err
		}
	}
	var mounts []specs.Mount
	for _, name := range networkFiles {
		options := []string{"rbind", "rprivate"}
		if start.HostConfig.ReadonlyRootfs {
			options = append(options, "ro")
		}
		mounts = append(mounts, specs.Mount{Destination: "/etc/" + name, Type: "bind", Source: filepath.Join(dir, name), Options: options})
	}
	return mounts, nil
}

// writeNames makes /etc/hosts and /etc/resolv.conf of a container that is being
// started: before it is made, and again in the same places when its addresses
// are known.
func (s *Service) writeNames(c *ctr, start *types.Container) error {
	var names networks.Names
	resolv := []byte(nil)
	if c.record().ownsNetwork() {
		names = s.Networks.Names(c.id)
		resolv = resolvConf(names)
	} else {
		resolv = hostResolvConf(start.HostConfig)
	}
	dir := s.dir(c.id)
	return errors.Join(
		overwrite(filepath.Join(dir, hostsFile), hosts(start.Config, start.HostConfig, names)),
		overwrite(filepath.Join(dir, resolvFile), resolv))
}

// renewNames brings the files of a running container up to date after its
// networks have changed. before is what they were made of. What somebody wrote
// into them in the container stays.
func (s *Service) renewNames(c *ctr, before networks.Names) {
	r, after := c.record(), s.Networks.Names(c.id)
	dir := s.dir(c.id)
	err := errors.Join(
		rewrite(filepath.Join(dir, hostsFile), func(text []byte) []byte {
			return replaceLines(text, hosts(&r.Config, &r.HostConfig, before), hosts(&r.Config, &r.HostConfig, after))
		}),
		rewrite(filepath.Join(dir, resolvFile), func(text []byte) []byte {
			if !bytes.Equal(text, resolvConf(before)) {
				return text
			}
			return resolvConf(after)
		}))
	if err != nil {
		s.Log.Warn("cannot renew the names in a container's files", containerField(c), zap.Error(err))
	}
}

// maxNames bounds what is read of a file that a container can write.
const maxNames = 1 << 20

// rewrite changes a file in its place, where it is bound into a container.
func rewrite(path string, change func([]byte) []byte) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxNames+1))
	if err != nil || len(text) > maxNames {
		return err
	}
	if changed := change(text); !bytes.Equal(changed, text) {
		return overwrite(path, changed)
	}
	return nil
}

// overwrite writes a file in its place: readers never see it empty.
func overwrite(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(text, 0)
	return errors.Join(err, file.Truncate(int64(len(text))), file.Close())
}

// replaceLines takes the lines that only was has out of text, and adds those
// that only is has.
func replaceLines(text, was, is []byte) []byte {
	lines := func(b []byte) []string { return slices.Collect(strings.Lines(string(b))) }
	old, now := lines(was), lines(is)
	kept := slices.DeleteFunc(lines(text), func(l string) bool { return slices.Contains(old, l) && !slices.Contains(now, l) })
	if last := len(kept) - 1; last >= 0 && !strings.HasSuffix(kept[last], "\n") {
		kept[last] += "\n"
	}
	for _, l := range now {
		if !slices.Contains(old, l) {
			kept = append(kept, l)
		}
	}
	return []byte(strings.Join(kept, ""))
}
