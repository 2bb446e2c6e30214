package assets

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/atomicfile"
	"github.com/klauspost/compress/zstd"
)

// Unpack writes the programs into a directory below bin, each version of them
// into its own, and returns it; "" when the binary carries none. They stay
// there: the next time there is nothing to do.
func Unpack(bin string) (dir string, err error) {
	if Programs == "" {
		return "", nil
	}
	dir = filepath.Join(bin, "cni-"+strings.TrimSpace(Digest)[:16])
	if err := unpack(Programs, dir); err != nil {
		return "", fmt.Errorf("unpack the CNI programs: %w", err)
	}
	return dir, nil
}

// unpack writes the programs of a compressed tar into a directory, unless they
// are there already; each is whole or not there.
func unpack(compressed, dir string) error {
	last := filepath.Join(dir, "complete")
	if _, err := os.Stat(last); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	z, err := zstd.NewReader(strings.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer z.Close()
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return os.WriteFile(last, nil, 0o600)
		}
		if err != nil {
			return err
		}
		if err := unpackOne(archive, filepath.Join(dir, filepath.Base(header.Name))); err != nil {
			return err
		}
	}
}

func unpackOne(content io.Reader, path string) error {
	f, err := atomicfile.New(path, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		return errors.Join(err, f.Cancel())
	}
	return f.Close()
}
