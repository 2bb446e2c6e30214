package firewall

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// deleted is the type of the kernel's message that a table was deleted.
const deleted = netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE)

// Keep makes the table again whenever someone else deletes it, as "nft flush
// ruleset" and a restart of Debian's nftables.service do, until ctx ends.
// After each time it calls restored, with the error where that failed.
func (t *Table) Keep(ctx context.Context, restored func(error)) error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return fmt.Errorf("cannot watch nftables: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer func() {
		if stop() {
			c.Close()
		}
	}()
	for {
		messages, err := c.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS): // some were missed
		case err != nil:
			return fmt.Errorf("cannot watch nftables: %w", err)
		case !slices.ContainsFunc(messages, func(m netlink.Message) bool { return m.Header.Type == deleted }):
			continue
		}
		if again, err := t.restore(); again || err != nil {
			restored(err)
		}
	}
}

// restore makes the table again if it should be there and is not.
func (t *Table) restore() (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.made || t.conn == nil {
		return false, nil
	}
	tables, err := t.conn.ListTablesOfFamily(t.table.Family)
	if err != nil {
		t.disconnect()
		return false, fmt.Errorf("cannot list the tables of nftables: %w", err)
	}
	for _, other := range tables {
		if other.Name == t.table.Name {
			return false, nil
		}
	}
	return true, t.rebuild(t.networks, t.ports)
}
