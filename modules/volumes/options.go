package volumes

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
)

// parseOptions reads the local driver's options type, device and o, which
// mean what mount(8) means by -t, the device and -o. It returns nil when the
// volume is a plain directory.
func parseOptions(options map[string]string) (*mount.Mount, error) {
	if len(options) == 0 {
		return nil, nil
	}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		switch key {
		case "type", "device", "o":
		case "size":
			return nil, fmt.Errorf("option %q is not supported: it needs a file system with project quotas; bound a tmpfs with o=size=64m", key)
		default:
			return nil, fmt.Errorf("invalid option: %q: use type, device and o", key)
		}
	}
	for _, key := range []string{"type", "device"} {
		if options[key] == "" {
			return nil, fmt.Errorf("missing required option: %q", key)
		}
	}
	m := &mount.Mount{Type: options["type"], Source: options["device"]}
	for o := range strings.SplitSeq(options["o"], ",") {
		if o = strings.TrimSpace(o); o != "" {
			m.Options = append(m.Options, o)
		}
	}
	return m, nil
}

// resolveAddr replaces the host name in addr= by its address: unlike mount(8)
// the kernel knows no names. Only network file systems have that option.
func resolveAddr(ctx context.Context, m *mount.Mount) error {
	for i, o := range m.Options {
		host, ok := strings.CutPrefix(o, "addr=")
		if !ok || net.ParseIP(host) != nil {
			continue
		}
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return fmt.Errorf("cannot resolve the address of the server: %w", err)
		}
		m.Options[i] = "addr=" + addrs[0]
	}
	return nil
}
