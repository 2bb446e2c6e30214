package ocispec

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxAccounts bounds what is read of a container's /etc/passwd and /etc/group.
const maxAccounts = 4 << 20

// ResolveUser finds the ids of a container's user in the root filesystem at
// root: name, uid, name:group, uid:gid. groups are further groups, by name or
// number. The files are the container's: no link in them leads out of root.
func ResolveUser(root, name string, groups []string) (specs.User, error) {
	passwd, err := openIn(root, "etc/passwd")
	if err != nil {
		return specs.User{}, err
	}
	defer passwd.Close()
	group, err := openIn(root, "etc/group")
	if err != nil {
		return specs.User{}, err
	}
	defer group.Close()
	found, err := user.GetExecUser(name, &user.ExecUser{Home: "/"}, passwd, group)
	if err != nil {
		return specs.User{}, invalid("%v", err)
	}
	gids := append([]int{found.Gid}, found.Sgids...)
	if len(groups) > 0 {
		again, err := openIn(root, "etc/group")
		if err != nil {
			return specs.User{}, err
		}
		defer again.Close()
		more, err := user.GetAdditionalGroups(groups, again)
		if err != nil {
			return specs.User{}, invalid("%v", err)
		}
		gids = append(gids, more...)
	}
	u := specs.User{UID: uint32(found.Uid), GID: uint32(found.Gid)}
	seen := map[int]bool{}
	for _, gid := range gids {
		if !seen[gid] {
			seen[gid] = true
			u.AdditionalGids = append(u.AdditionalGids, uint32(gid))
		}
	}
	return u, nil
}

// openIn opens a regular file of a tree as a process chrooted there would. A
// file that is not there reads as empty.
func openIn(root, path string) (io.ReadCloser, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, // a FIFO must not hold us up
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return io.NopCloser(eof{}), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the container's /%s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, invalid("the container's /%s is not a regular file", path)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, maxAccounts), f}, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
