package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/atomicfile"
	"github.com/klauspost/compress/zstd"

	"github.com/pouchfx/pouchfx/modules/containerd/assets"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
)

// binaries are the absolute paths of the programs that containers run with.
type binaries struct {
	runc string
	ours bool   // runc is the one that this binary carries
	shim string // the one that this binary carries, or self under the shim's name
	self string // this binary, or who plays its other parts
}

// installBinaries puts into dir links to self, which is this binary if empty,
// and the runc and the shim that this binary carries. Containers remember the
// paths of links and of runc: links stay when the daemon is upgraded, and every
// version of runc keeps its own folder.
func installBinaries(dir, self string) (b binaries, err error) {
	b = binaries{
		shim: filepath.Join(dir, shim.Name),
		self: filepath.Join(dir, "pouchfx"),
	}
	if self == "" {
		if self, err = os.Executable(); err != nil {
			return b, err
		}
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return b, err
	}
	if err := pointTo(b.self, self); err != nil {
		return b, err
	}
	if err := installShim(b.shim, self, assets.Shim, assets.ShimDigest); err != nil {
		return b, err
	}
	if assets.Runc == "" {
		b.runc, err = findRunc()
		return b, err
	}
	b.ours = true
	b.runc = filepath.Join(dir, folder(assets.RuncDigest), "runc")
	return b, unpack(assets.Runc, b.runc)
}

// installShim makes link lead to the shim in compressed or, if that is empty,
// to self. The shim of an earlier daemon is removed: where it still runs it does
// without its file.
func installShim(link, self, compressed, digest string) error {
	dir, target := filepath.Dir(link), self
	if compressed != "" {
		target = filepath.Join(dir, folder(digest), shim.Name)
		if err := unpack(compressed, target); err != nil {
			return err
		}
	}
	old, _ := os.Readlink(link)
	if err := pointTo(link, target); err != nil {
		return err
	}
	if last := filepath.Dir(old); old != target && filepath.Dir(last) == dir {
		return os.RemoveAll(last)
	}
	return nil
}

// folder is where the program with the digest is, below the folder of links.
func folder(digest string) string { return strings.TrimSpace(digest)[:16] }

// pointTo makes link a symbolic link to target; whoever follows it meanwhile
// finds the old target or the new one.
func pointTo(link, target string) error {
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	temporary := link + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, link)
}

// unpack writes the program in compressed to path, whole or not at all, unless
// it is there already.
func unpack(compressed, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	z, err := zstd.NewReader(strings.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer z.Close()
	f, err := atomicfile.New(path, 0o755)
	if err != nil {
		return err
	}
	if _, err := z.WriteTo(f); err != nil {
		return errors.Join(fmt.Errorf("unpack %s: %w", path, err), f.Cancel())
	}
	return f.Close()
}

func findRunc() (string, error) {
	path, err := exec.LookPath("runc")
	if err != nil {
		return "", fmt.Errorf("this binary carries no runc and there is none on PATH: build it with `make build`, or install one, for instance with `apt-get install runc`: %w", err)
	}
	return filepath.Abs(path)
}
