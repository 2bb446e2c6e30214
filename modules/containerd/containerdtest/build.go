package containerdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Build builds what the kit uses. A TestMain calls it before it enters a network
// namespace from which no module could be fetched. Without root it does nothing.
func Build() {
	if os.Geteuid() != 0 {
		return
	}
	err := ProvideRunc()
	if err == nil {
		_, err = cached("pause", buildPause)
	}
	for _, p := range [][3]string{{"box", ".", "./e2e/box"}, {"roles", ".", rolesPackage}, {"containerd", "tools/containerd", stockPackage}} {
		if err == nil {
			_, err = cachedProgram(p[0], p[1], p[2])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "containerdtest:", err)
		os.Exit(1)
	}
}

const (
	rolesPackage = "./modules/containerd/containerdtest/roles"
	stockPackage = "github.com/containerd/containerd/v2/cmd/containerd"
)

// ProvideRunc builds the pinned runc, for which it needs the source of the tools
// too, and puts it first on PATH.
func ProvideRunc() error {
	path, err := cached("runc", func(out string) *exec.Cmd {
		return exec.Command(filepath.Join(source(), "tools", "build-runc"), out)
	})
	if err != nil {
		return err
	}
	return os.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
}

// program builds a static Go program, a package that the module in the given
// folder of this source knows, and returns its path.
func program(t testing.TB, name, module, pkg string) string {
	t.Helper()
	path, err := cachedProgram(name, module, pkg)
	require.NoError(t, err)
	return path
}

func cachedProgram(name, module, pkg string) (string, error) {
	return cached(name, func(out string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-C", module, "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		return cmd
	})
}

// cached has a program built in a folder that test binaries share. The build
// runs every time, as it is quick when nothing changed, and its result takes
// the old one's place at once, which may be running.
func cached(name string, build func(out string) *exec.Cmd) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "pouchfx-test", name, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	cmd := build(path + ".new")
	cmd.Dir = source()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return path, os.Rename(path+".new", path)
}

// source is the root of this module's source.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}
