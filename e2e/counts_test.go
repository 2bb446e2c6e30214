package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/moby/moby/client"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// counts is what a daemon holds, of which nothing may pile up.
type counts struct {
	Goroutines, Files, Processes, Mounts, Cgroups int
	Links, Rules, Elements, Leases, Sandboxes     int
	Listeners                                     int
	Directories                                   int // of containers and runc's states
	Snapshots                                     int
}

func (d *daemon) count(t testing.TB) (c counts) {
	t.Helper()
	info, err := d.client.Info(testContext(t), client.InfoOptions{})
	require.NoError(t, err)
	c.Goroutines, c.Files = info.Info.NGoroutines, info.Info.NFd
	c.Processes, c.Cgroups = len(processesOf(d.root)), len(d.cgroups())
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(d.root))
	require.NoError(t, err)
	c.Mounts = len(mounts)
	links, err := net.Interfaces()
	require.NoError(t, err)
	c.Links = len(links)
	c.Rules, c.Elements = firewall(t)
	c.Leases = d.entries(t, "x/cni/leases/*/[0-9]*")
	c.Sandboxes = d.entries(t, "x/networks/*")
	c.Directories = d.entries(t, "d/containers/*") + d.entries(t, "x/containers/*") + d.entries(t, "x/runc/pouchfx/*")
	c.Snapshots = d.entries(t, "d/containerd/*overlayfs*/snapshots/*")
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		c.Listeners += strings.Count(string(text), " 0A ")
	}
	return c
}

func (d *daemon) entries(t testing.TB, pattern string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(d.root, pattern))
	require.NoError(t, err)
	return len(found)
}

// firewall counts the rules of this network namespace and what its sets hold.
func firewall(t testing.TB) (rules, elements int) {
	t.Helper()
	c, err := nftables.New()
	require.NoError(t, err)
	chains, err := c.ListChains()
	require.NoError(t, err)
	for _, chain := range chains {
		all, err := c.GetRules(chain.Table, chain)
		require.NoError(t, err)
		rules += len(all)
	}
	tables, err := c.ListTables()
	require.NoError(t, err)
	for _, table := range tables {
		sets, err := c.GetSets(table)
		require.NoError(t, err)
		for _, set := range sets {
			all, err := c.GetSetElements(set)
			require.NoError(t, err)
			elements += len(all)
		}
	}
	return rules, elements
}

// settles waits until a daemon holds what it held before. Garbage is collected
// in its own time, and a few files and goroutines come and go.
func (d *daemon) settles(t testing.TB, before counts) {
	t.Helper()
	var now counts
	_ = waitFor(2*time.Minute, func() bool {
		now = d.count(t)
		if now.Goroutines <= before.Goroutines+2 && now.Files <= before.Files+2 {
			now.Goroutines, now.Files = before.Goroutines, before.Files
		}
		return now == before
	})
	assert.Equal(t, before, now)
}

// containerdLeases counts the leases in the store of a daemon that does not
// run.
func (d *daemon) containerdLeases(t testing.TB) (n int) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(d.root, "d/containerd/io.containerd.metadata.v1.bolt/meta.db"), 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Minute})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		if leases := nested(tx.Bucket([]byte("v1")), "pouchfx", "leases"); leases != nil {
			return leases.ForEachBucket(func([]byte) error { n++; return nil })
		}
		return nil
	}))
	return n
}

func nested(b *bolt.Bucket, names ...string) *bolt.Bucket {
	for _, name := range names {
		if b == nil {
			return nil
		}
		b = b.Bucket([]byte(name))
	}
	return b
}
