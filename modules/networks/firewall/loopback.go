package firewall

import (
	"errors"
	"fmt"
	"os"
)

// allowLoopback lets the host reach containers of a bridge from 127.0.0.1: the
// kernel drops such packets unless the interface has route_localnet. The guard
// chain keeps containers from using it the other way round.
func allowLoopback(bridge string) error {
	path := "/proc/sys/net/ipv4/conf/" + bridge + "/route_localnet"
	if now, err := os.ReadFile(path); err == nil && len(now) > 0 && now[0] == '1' {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("1")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot let 127.0.0.1 reach the containers of %s: %w", bridge, err)
	}
	return nil
}
