// Package cnitest builds the CNI programs for tests of packages that make
// networks: their test binaries carry none. It needs the Go toolchain.
//
// Such a package has
//
//	func TestMain(m *testing.M) { cnitest.Build(); … }
//
// before it enters a network namespace, from which no module could be fetched,
// and gives Dir to [networks.Params].
package cnitest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Build builds the programs, in a folder that test binaries share, and ends
// the process when it cannot. It is quick when nothing changed. Without root,
// it does nothing: then no test needs them.
func Build() {
	if os.Geteuid() != 0 {
		return
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "cnitest: no CNI programs:", err)
		os.Exit(1)
	}
}

func build() error {
	dir := Dir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	// What is there may be running: it is replaced, not written to.
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "fresh")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command(filepath.Join(filepath.Dir(file), "..", "..", "..", "tools", "build-cni"), fresh)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	programs, err := os.ReadDir(fresh)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := os.Rename(filepath.Join(fresh, p.Name()), filepath.Join(dir, p.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Dir is where the programs are, once they are built.
func Dir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "pouchfx-test", "cni")
}
