package networks

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The options of Docker's bridge driver that are honoured.
const (
	optionDefault    = "com.docker.network.bridge.default_bridge"
	optionBridge     = "com.docker.network.bridge.name"
	optionICC        = "com.docker.network.bridge.enable_icc"
	optionMasquerade = "com.docker.network.bridge.enable_ip_masquerade"
	optionHostIP     = "com.docker.network.bridge.host_binding_ipv4"
	optionMTU        = "com.docker.network.driver.mtu"
	optionPrefix     = "com.docker.network.container_iface_prefix"
)

// options are a network's options, parsed.
type options struct {
	bridge     string     // the device's name; empty means one of our own
	icc        bool       // containers of the network may talk to each other
	masquerade bool       // what they send elsewhere comes from the host
	hostIP     netip.Addr // where ports are published unless somebody says so
	mtu        int        // 0 means the kernel's
	prefix     string     // interfaces are named this and a number
}

// validDevice is what the kernel and its files accept as a device's name.
var validDevice = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$`) })

// parseOptions reads a network's options. As with dockerd those that nobody
// knows mean nothing; those that dockerd knows and we do not are refused.
func parseOptions(given map[string]string) (options, error) {
	o := options{icc: true, masquerade: true, hostIP: netip.IPv4Unspecified(), prefix: "eth"}
	for key, value := range given {
		var err error
		switch key {
		case optionBridge:
			if o.bridge = value; !validDevice().MatchString(value) {
				err = invalid("invalid bridge name %q: up to 15 letters, digits, '_', '.' and '-' are allowed", value)
			}
		case optionICC:
			o.icc, err = parseSwitch(key, value)
		case optionMasquerade:
			o.masquerade, err = parseSwitch(key, value)
		case optionHostIP:
			if o.hostIP, err = netip.ParseAddr(value); err != nil || !o.hostIP.Is4() {
				err = invalid("invalid value for %s: %q is not an IPv4 address", key, value)
			}
		case optionMTU:
			if o.mtu, err = strconv.Atoi(value); err != nil || o.mtu != 0 && o.mtu < 68 || o.mtu > 65535 {
				err = invalid("invalid value for %s: %q is not a size from 68 to 65535", key, value)
			}
		case optionPrefix:
			if o.prefix = value; !validDevice().MatchString(value) || len(value) > 11 || strings.HasPrefix(value, "lo") {
				err = invalid("invalid value for %s: %q cannot begin an interface's name", key, value)
			}
		case "com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6":
			if value != "" && value != "nat" {
				err = unsupported("the value %q of %s is not supported: this daemon has the mode nat", value, key)
			}
		case "com.docker.network.bridge.inhibit_ipv4", "com.docker.network.host_ipv4", "com.docker.network.host_ipv6",
			"com.docker.network.bridge.trusted_host_interfaces":
			err = unsupported("the network option %s is not supported by this daemon", key)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func parseSwitch(key, value string) (bool, error) {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, invalid("invalid value for %s: %q is neither true nor false", key, value)
	}
	return on, nil
}
