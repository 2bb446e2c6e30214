package networks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// forward has the kernel pass on packets from and to a bridge.
func (s *Service) forward(bridge string, v6 bool) error {
	if err := s.enable("net/ipv4/ip_forward"); err != nil {
		return err
	}
	if !v6 {
		// Nothing of the host is to be reached around IPv4's rules.
		return sysctl("net/ipv6/conf/"+bridge+"/disable_ipv6", "1")
	}
	return errors.Join(keepRouters(), sysctl("net/ipv6/conf/"+bridge+"/accept_ra", "0"), s.enable("net/ipv6/conf/all/forwarding"))
}

// keepRouters has interfaces go on listening to routers when the host becomes
// one itself: it would lose its default route.
func keepRouters() error {
	interfaces, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, path := range interfaces {
		switch filepath.Base(filepath.Dir(path)) {
		case "all", "default": // are about interfaces to come, as those of containers
			continue
		}
		if now, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(now)) != "1" {
			continue
		}
		if err := sysctl(strings.TrimPrefix(path, "/proc/sys/"), "2"); err != nil {
			return err
		}
	}
	return nil
}

// enable sets a switch of the whole host, and says so if it was off.
func (s *Service) enable(key string) error {
	if old, err := os.ReadFile("/proc/sys/" + key); err == nil && strings.TrimSpace(string(old)) == "1" {
		return nil
	}
	if err := sysctl(key, "1"); err != nil {
		return err
	}
	s.log.Info("switched on forwarding for containers: from now on this host passes on packets of others, too, where its firewall lets it",
		zap.String("sysctl", strings.ReplaceAll(key, "/", ".")))
	return nil
}

// sysctl writes a setting of the calling thread's network namespace. One that
// this kernel does not have needs no setting.
func sysctl(key, value string) error {
	err := os.WriteFile("/proc/sys/"+key, []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set %s: %w", strings.ReplaceAll(key, "/", "."), err)
	}
	return nil
}
