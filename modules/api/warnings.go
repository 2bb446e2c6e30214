package api

import (
	"strings"

	"github.com/moby/moby/api/types/system"

	"github.com/pouchfx/pouchfx/modules/config"
)

// warnings are those of docker info about the machine and who may reach the
// daemon, in dockerd's words.
func warnings(info *system.Info, c *config.Config) []string {
	var list []string
	for _, host := range c.Hosts {
		if address, ok := strings.CutPrefix(host, "tcp://"); ok && !c.TLSVerify {
			scheme := "http://"
			if c.TLSCert != "" {
				scheme = "https://"
			}
			list = append(list, "WARNING: API is accessible on "+scheme+address+" without client authentication: access to it is root access to this machine")
		}
	}
	for _, w := range []struct {
		missing bool
		text    string
	}{
		{!info.MemoryLimit, "No memory limit support"},
		{!info.SwapLimit, "No swap limit support"},
		{!info.OomKillDisable && info.CgroupVersion == "1", "No oom kill disable support"},
		{!info.CPUCfsQuota, "No cpu cfs quota support"},
		{!info.CPUCfsPeriod, "No cpu cfs period support"},
		{!info.CPUShares, "No cpu shares support"},
		{!info.CPUSet, "No cpuset support"},
		{!info.PidsLimit, "No pids limit support"},
		{!info.IPv4Forwarding, "IPv4 forwarding is disabled"},
	} {
		if w.missing {
			list = append(list, "WARNING: "+w.text)
		}
	}
	return list
}
