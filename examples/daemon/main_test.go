package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary is the daemon where it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("EXAMPLE_DAEMON") != "" {
		main()
	}
	os.Exit(m.Run())
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "EXAMPLE_DAEMON=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestThePluginIsInTheDaemon(t *testing.T) {
	out, err := run(t, "plugins")
	if err != nil || !strings.Contains(out, "gatekeeper") || !strings.Contains(out, "api,container,image") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestItsSectionIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("plugins:\n  gatekeeper:\n    registrys: [docker.io]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "check", "--config-file", file)
	if err == nil || !strings.Contains(out, `did you mean "registries"?`) {
		t.Errorf("%v\n%s", err, out)
	}
}
