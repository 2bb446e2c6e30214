package api

import (
	"testing"

	"github.com/moby/moby/api/types/system"
	"github.com/stretchr/testify/assert"

	"github.com/pouchfx/pouchfx/modules/config"
)

func TestWarningsOfInfo(t *testing.T) {
	able := system.Info{
		MemoryLimit: true, SwapLimit: true, CPUCfsQuota: true, CPUCfsPeriod: true, CPUShares: true, CPUSet: true, PidsLimit: true,
		OomKillDisable: true, IPv4Forwarding: true, CgroupVersion: "1",
	}
	local := &config.Config{Hosts: []string{"unix:///s"}}
	assert.Empty(t, warnings(&able, local))
	poor := able
	poor.SwapLimit, poor.IPv4Forwarding = false, false
	assert.Equal(t, []string{"WARNING: No swap limit support", "WARNING: IPv4 forwarding is disabled"}, warnings(&poor, local))
	open := &config.Config{Hosts: []string{"tcp://0.0.0.0:2375"}, InsecureTCP: true}
	assert.Contains(t, warnings(&able, open)[0], "API is accessible on http://0.0.0.0:2375 without")
	assert.Empty(t, warnings(&able, &config.Config{Hosts: open.Hosts, TLSVerify: true}))
	able.OomKillDisable, able.CgroupVersion = false, "2"
	assert.Empty(t, warnings(&able, local), "the second version of cgroups has no such thing")
}
