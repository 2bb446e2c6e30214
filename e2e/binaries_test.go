package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaries are what the suite builds once: the daemon, with the race detector
// when the tests have it and else as it is shipped, a daemon with plugins that
// misbehave, the program of the test images, and a stock containerd.
type binaries struct {
	dir                                   string
	daemon, pluginDaemon, box, containerd string
}

var built binaries

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("e2e: skipped, needs root: it runs real containers")
		os.Exit(0)
	}
	if os.Getenv(inside) == "" {
		os.Exit(runInside())
	}
	if err := enter(); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("/tmp", "pxe2e")
	if err != nil {
		panic(err)
	}
	code := 1
	if built, err = build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		stopShared()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) (binaries, error) {
	b := binaries{
		dir:          dir,
		daemon:       filepath.Join(dir, "demo-daemon"),
		pluginDaemon: filepath.Join(dir, "plugin-daemon"),
		box:          filepath.Join(dir, "box"),
		containerd:   filepath.Join(dir, "containerd"),
	}
	static := []string{"-trimpath", "-ldflags=-s -w"}
	ours, cgo := ourFlags()
	for _, c := range []struct {
		out, pkg string
		flags    []string
		env      string
	}{
		{b.daemon, "../cmd/demo-daemon", ours, cgo},
		{b.pluginDaemon, "./plugindaemon", ours, cgo},
		{b.box, "./box", static, "CGO_ENABLED=0"},
		{b.containerd, "github.com/containerd/containerd/v2/cmd/containerd", append([]string{"-modfile=../tools/containerd/go.mod"}, static...), "CGO_ENABLED=0"},
	} {
		if err := compile(c.out, c.pkg, c.flags, c.env); err != nil {
			return b, err
		}
	}
	return b, nil
}

// ourFlags are those for a daemon of ours, and its CGO_ENABLED.
func ourFlags() (flags []string, cgo string) {
	flags, cgo = []string{"-trimpath", "-ldflags=-s -w"}, "CGO_ENABLED=0" // as the Makefile has them, tags too
	if raceEnabled {
		flags, cgo = []string{"-race"}, "CGO_ENABLED=1"
	}
	tags := "no_rdt,grpcnotrace"
	for tag, file := range map[string]string{"assets": "../modules/containerd/assets/runc.zst", "demo": "../cmd/demo-daemon/demo/guest.bin"} {
		if _, err := os.Stat(file); err == nil { // made by make
			tags += "," + tag
		}
	}
	return append(flags, "-tags="+tags), cgo
}

func compile(out, pkg string, flags []string, env string) error {
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), env)
	if text, err := combinedOutputOutside(cmd); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
