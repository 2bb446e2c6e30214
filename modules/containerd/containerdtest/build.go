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

// provideRunc puts the pinned runc first on PATH.
func provideRunc() error {
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
	path, err := cached(name, func(out string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-C", module, "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		return cmd
	})
	require.NoError(t, err)
	return path
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
