package networks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks/assets"
)

// The CNI programs: one makes interfaces, the other finds addresses for it.
const (
	programBridge    = "bridge"
	programAddresses = "host-local"
)

// whereDistributionsPutThem is searched when the binary carries none.
var whereDistributionsPutThem = []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"}

// orphanTimeout is how long a start waits for programs that a daemon which
// was killed had started.
const orphanTimeout = 20 * time.Second

// programs are the CNI programs and where they keep their data.
type programs struct {
	dirs []string // in which they are looked for
	bin  string   // where those that the binary carries are unpacked
	dir  string   // of the data

	// lock is inherited by each program that is started: while the daemon
	// does not have it alone, one runs.
	lock *os.File
}

func newPrograms(dirs []string, bin, dir string) *programs {
	return &programs{dirs: slices.Clone(dirs), bin: bin, dir: dir}
}

// start unpacks the programs, and waits until none runs that an earlier daemon
// started: what they make after we looked would stay for ever.
func (p *programs) start(ctx context.Context) error {
	if err := os.MkdirAll(p.leases(""), 0o700); err != nil {
		return err
	}
	switch dir, err := assets.Unpack(p.bin); {
	case err != nil:
		return err
	case dir == "":
		p.dirs = append(p.dirs, whereDistributionsPutThem...)
	default:
		p.dirs = append(p.dirs, dir)
	}
	lock, err := os.OpenFile(filepath.Join(p.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	p.lock = lock
	ctx, cancel := context.WithTimeout(ctx, orphanTimeout)
	defer cancel()
	if err := lockFile(ctx, lock, unix.LOCK_EX); err != nil {
		return fmt.Errorf("a CNI program of an earlier daemon still runs, see who has %s open: %w", lock.Name(), err)
	}
	return nil
}

func (p *programs) stop() error {
	if p.lock == nil {
		return nil
	}
	err := p.lock.Close()
	p.lock = nil
	return err
}

// leases is the directory of a network's leases.
func (p *programs) leases(network string) string { return filepath.Join(p.dir, "leases", network) }

// forgetNetwork removes what the programs keep of a network.
func (p *programs) forgetNetwork(id string) error { return os.RemoveAll(p.leases(id)) }

// find returns the path of a program.
func (p *programs) find(name string) (string, error) {
	for _, dir := range p.dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no CNI program %s in %s: build this binary with `make build`, which puts it in, or install it, for instance with `apt-get install containernetworking-plugins`",
		name, strings.Join(p.dirs, ", "))
}
