package containerd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// completeBundles writes down, for each container of a pod, which shim it runs
// under, before containerd looks for the shims that it left behind. containerd
// does that for the first container of a pod alone, looks for the shims of the
// others on PATH and, when they are not there, forgets containers that run.
func completeBundles(dir, ourShim string) error {
	bundles, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) { // before the first pod
		return nil
	} else if err != nil {
		return err
	}
	for _, b := range bundles {
		path := filepath.Join(dir, b.Name(), "shim-binary-path")
		sandbox, err := os.ReadFile(filepath.Join(dir, b.Name(), "sandbox"))
		if err != nil {
			continue // a pod's first container, or none that was ever started
		}
		if _, err := os.Stat(path); err == nil {
			continue
		}
		shim, err := os.ReadFile(filepath.Join(dir, filepath.Base(string(sandbox)), "shim-binary-path"))
		if err != nil { // the first container has ended before the others
			shim = []byte(ourShim)
		}
		if err := os.WriteFile(path, shim, 0o600); err != nil {
			return err
		}
	}
	return nil
}
