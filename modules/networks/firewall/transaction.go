package firewall

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// maxTransaction bounds what one transaction may weigh, in bytes: more than
// the elements of sixty thousand ports.
const maxTransaction = 16 << 20

// perMessage is how many elements one message carries: a netlink attribute
// ends at 64 KiB.
const perMessage = 256

// connect opens a connection to nftables.
func connect(options ...nftables.ConnOption) (*nftables.Conn, error) {
	return nftables.New(append(options, nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		// Each message is acknowledged, before the first is read.
		return errors.Join(c.SetWriteBuffer(maxTransaction), c.SetReadBuffer(maxTransaction))
	}))...)
}

// commit sends a transaction of the table: all of it takes effect, or nothing.
//
// The connection is kept: when one ends, the kernel first waits until nobody
// can see what was deleted through it, which takes a hundred times as long as
// the transaction.
func (t *Table) commit(fill func(*nftables.Conn) error) (err error) {
	if t.conn == nil {
		if t.conn, err = connect(); err != nil {
			return err
		}
	}
	if err = fill(t.conn); err == nil {
		err = t.conn.Flush()
	}
	if err != nil { // it may hold half a transaction, or answers to it
		t.disconnect()
	}
	return err
}

func (t *Table) disconnect() {
	if t.conn != nil {
		_ = t.conn.CloseLasting()
		t.conn = nil
	}
}

// deleteTable adds the end of a table to a transaction; it need not be there.
func deleteTable(c *nftables.Conn, table *nftables.Table) {
	c.AddTable(table)
	c.DelTable(table)
}

func addElements(c *nftables.Conn, e elements) error    { return each(e, c.SetAddElements) }
func deleteElements(c *nftables.Conn, e elements) error { return each(e, c.SetDeleteElements) }

func each(e elements, f func(*nftables.Set, []nftables.SetElement) error) error {
	for set, all := range e {
		for len(all) > 0 {
			n := min(len(all), perMessage)
			if err := f(set, all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
	return nil
}

// explain turns what the kernel says to a new table into what is missing and
// what helps.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return unavailable(err, "the daemon may not set up nftables: it needs CAP_NET_ADMIN in the user namespace that owns its network namespace")
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP),
		errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		return unavailable(err, "the kernel lacks nftables or its NAT: load its modules (modprobe -a nf_tables nft_chain_nat nft_nat nft_masq nft_fib_inet), "+
			"or use Linux 5.6 or later with CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_MASQ and CONFIG_NFT_FIB_INET; "+
			"containers on the networks host and none need none of it")
	}
	return fmt.Errorf("cannot set up nftables: %w", err)
}

func unavailable(err error, text string) error {
	return fmt.Errorf("%w: %w", errdefs.ErrUnavailable.WithMessage(text), err)
}
