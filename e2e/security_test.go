package e2e

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContainersAreConfined(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		for _, tc := range []struct{ name, script, want string }{
			{"capabilities are Docker's", "grep CapEff /proc/self/status", "CapEff:\t00000000a80425fb\n"},
			{"seccomp filters", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n"},
			{"seccomp forbids a user namespace", "unshare && echo escaped; echo done", "done\n"},
			{"masked paths are empty", "cat /proc/kcore /proc/keys | wc; ls /sys/firmware | wc", "0\n0\n"},
			{"proc is partly read-only", "echo 1 > /proc/sys/kernel/panic && echo written; echo done", "done\n"},
			{"sys is read-only", "mkdir /sys/fs/cgroup/memory/x && echo made; echo done", "done\n"},
			{"no host devices", "ls /dev | grep vda || echo none", "none\n"},
			{"pids are its own", "readlink /proc/self", ""},
		} {
			t.Run(tc.name, func(t *testing.T) {
				r := d.run(t, tc.script)
				if tc.want == "" {
					assert.Less(t, len(r.stdout), 4, "a small pid: %s", r.stdout)
					return
				}
				assert.Equal(t, tc.want, r.stdout, "stderr: %s", r.stderr)
			})
		}
	})
}

func TestPrivilegedIsNotConfined(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "grep Seccomp: /proc/self/status; grep CapEff /proc/self/status", host(func(h *container.HostConfig) { h.Privileged = true }))
		got := lines(r.stdout)
		require.Len(t, got, 2, r.stderr)
		assert.Equal(t, "Seccomp:\t0", got[0])
		assert.NotEqual(t, "CapEff:\t00000000a80425fb", got[1])
	})
}

func TestSeccompProfiles(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "unshare && echo escaped", host(func(h *container.HostConfig) { h.SecurityOpt = []string{"seccomp=unconfined"} }))
		assert.Equal(t, "escaped\n", r.stdout, r.stderr)
		profile := `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdirat","mkdir"],"action":"SCMP_ACT_ERRNO"}]}`
		r = d.run(t, "mkdir /x || echo refused", host(func(h *container.HostConfig) { h.SecurityOpt = []string{"seccomp=" + profile} }))
		assert.Equal(t, "refused\n", r.stdout, r.stderr)
		r = d.run(t, "grep NoNewPrivs /proc/self/status", host(func(h *container.HostConfig) { h.SecurityOpt = []string{"no-new-privileges"} }))
		assert.Equal(t, "NoNewPrivs:\t1\n", r.stdout)
	})
}

// The daemon's environment may hold secrets; none of it may reach a container,
// its shim or its hooks.
func TestTheDaemonsEnvironmentDoesNotLeak(t *testing.T) {
	t.Setenv("E2E_SECRET", "leaked")
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box")
	r := d.run(t, "env")
	assert.NotContains(t, r.stdout, "E2E_SECRET")
	assert.NotContains(t, r.stdout, "POUCHFX")
}
