package firewall

import (
	"sync"

	"github.com/containerd/errdefs"
)

// Table is the daemon's nftables table. It is safe for concurrent use.
type Table struct {
	name string
	mu   sync.Mutex
}

// New returns the table of that name; nothing is done before Replace.
func New(table string) *Table { return &Table{name: table} }

// Replace makes the table anew, in one transaction, whatever it held before.
// errdefs.ErrUnavailable says that the kernel cannot, and what would help.
func (t *Table) Replace(networks []Network, ports []Port) error { return errdefs.ErrNotImplemented }

// AddNetwork lets a network in, or changes it.
func (t *Table) AddNetwork(n Network) error { return errdefs.ErrNotImplemented }

// RemoveNetwork forgets a network; one that is not there is no error.
func (t *Table) RemoveNetwork(bridge string) error { return errdefs.ErrNotImplemented }

// Publish opens ports: all of them or none. Ports that are open already are
// no error; errdefs.ErrAlreadyExists names one that leads elsewhere.
func (t *Table) Publish(ports []Port) error { return errdefs.ErrNotImplemented }

// Unpublish closes ports; those that are not open, or lead elsewhere by now,
// are left as they are.
func (t *Table) Unpublish(ports []Port) error { return errdefs.ErrNotImplemented }

// Delete removes the table; one that is not there is no error.
func (t *Table) Delete() error { return errdefs.ErrNotImplemented }
