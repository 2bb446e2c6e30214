package updatebridge

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"path"
	"strings"
)

// write makes the file anew, in a root filesystem where nothing can be trusted:
// all of it happens below an os.Root, and what was of that name, a link perhaps,
// is replaced and not followed.
func (f EnvFile) write(rootfs string, env []string) (err error) {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return err
	}
	defer root.Close()
	name := strings.TrimPrefix(f.Path, "/")
	dir, base := path.Split(name)
	if dir != "" {
		if err := root.MkdirAll(path.Clean(dir), 0o755); err != nil {
			return err
		}
	}
	temporary := dir + "." + base + "." + rand.Text()
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temporary)
		}
	}()
	_, err = file.Write(assignments(env))
	if err == nil {
		err = file.Chmod(fs.FileMode(f.Mode)) // whatever the umask
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return root.Rename(temporary, name)
}

// assignments are variables as a shell reads them back. A name that
// is none to a shell would be a command there, and is left out.
func assignments(env []string) []byte {
	var text bytes.Buffer
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if !isName(name) {
			continue
		}
		text.WriteString(name)
		text.WriteString("='")
		text.WriteString(strings.ReplaceAll(value, "'", `'"'"'`))
		text.WriteString("'\n")
	}
	return text.Bytes()
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
