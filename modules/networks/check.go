package networks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/network"
)

// Check says why a container cannot have such an endpoint on a network, in
// dockerd's words. The error is an errdefs.ErrInvalidArgument, or an
// errdefs.ErrNotFound when the network is gone.
func (s *Service) Check(n Network, asked *network.EndpointSettings) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, err := s.find(n.ID)
	if err != nil {
		return err
	}
	return checkEndpoint(e, asked)
}

func checkEndpoint(e *entry, asked *network.EndpointSettings) error {
	if asked == nil {
		return nil
	}
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, v6 := range []bool{false, true} {
		if problem := staticProblem(e, asked, v6); problem != "" {
			add("%s", problem)
		}
	}
	if c := asked.IPAMConfig; c != nil && len(c.LinkLocalIPs) > 0 {
		add("link-local addresses are not supported by this daemon")
	}
	if !e.userDefined() && len(asked.Aliases) > 0 {
		add("network-scoped alias is supported only for containers in user defined networks")
	}
	for _, alias := range asked.Aliases {
		if alias == "" || len(alias) > 253 || strings.ContainsAny(alias, " \t\n/") {
			add("invalid alias %q: it is no name of a host", alias)
		}
	}
	for _, link := range asked.Links {
		if name, alias, ok := strings.Cut(link, ":"); name == "" || ok && alias == "" || strings.Count(link, ":") > 1 {
			add("bad format for links: %s", link)
		}
	}
	if mac := asked.MacAddress; len(mac) > 0 && (len(mac) != 6 || mac[0]&1 == 1 || slices.Equal(mac, make([]byte, 6))) {
		add("invalid MAC address %s: it is not that of one Ethernet device", mac)
	}
	for _, key := range slices.Sorted(maps.Keys(asked.DriverOpts)) {
		switch key {
		case "com.docker.network.endpoint.sysctls", "com.docker.network.endpoint.ifname":
			add("the driver option %s is not supported by this daemon", key)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return invalid("invalid config for network %s: invalid endpoint settings:\n%s", e.Name, strings.Join(problems, "\n"))
}

// staticProblem says why a container cannot have the address that it asks for.
func staticProblem(e *entry, asked *network.EndpointSettings, v6 bool) string {
	static := staticAddress(asked, v6)
	if !static.IsValid() {
		return ""
	}
	if !e.userDefined() {
		return "user specified IP address is supported on user defined networks only"
	}
	sub := e.subnet(v6)
	if sub == nil || sub.Chosen {
		return "user specified IP address is supported only when connecting to networks with user configured subnets"
	}
	if !sub.Prefix.Contains(static) {
		return fmt.Sprintf("no configured subnet contains IP address %s", static)
	}
	if problem := addressProblem(static, sub.Prefix); problem != "" {
		return fmt.Sprintf("invalid IP address %s: %s", static, problem)
	}
	return ""
}

// staticAddress is the address that a client asks for, the zero address when
// it takes any.
func staticAddress(asked *network.EndpointSettings, v6 bool) netip.Addr {
	switch {
	case asked == nil || asked.IPAMConfig == nil:
		return netip.Addr{}
	case v6:
		return asked.IPAMConfig.IPv6Address
	}
	return asked.IPAMConfig.IPv4Address.Unmap()
}

// validArg is a key that CNI_ARGS can hold.
var validArg = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`) })

// maxArgs bounds what is handed to CNI programs.
const maxArgs = 64 << 10

// cniArgs are the parameters for the network's driver as CNI_ARGS has them:
// those that are one value. All are in the configuration, too, as args.cni.
func cniArgs(params map[string]any) ([][2]string, error) {
	if len(params) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(params)
	if err != nil {
		return nil, invalid("the endpoint's GenericParams cannot be handed to CNI: %v", err)
	}
	if len(text) > maxArgs {
		return nil, invalid("the endpoint's GenericParams cannot be handed to CNI: they are bigger than %d bytes", maxArgs)
	}
	// Programs refuse arguments that they do not know, unless they are told.
	args := [][2]string{{"IgnoreUnknown", "1"}}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		switch strings.ToLower(key) {
		case "ip", "ips", "mac", "ignoreunknown":
			return nil, invalid("the endpoint's GenericParams cannot hold %q: addresses are set in its EndpointConfig", key)
		}
		if !validArg().MatchString(key) {
			return nil, invalid("the endpoint's GenericParams cannot be handed to CNI: %q is no name of an argument", key)
		}
		var value string
		switch v := params[key].(type) {
		case string:
			value = v
		case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, json.Number:
			value = fmt.Sprint(v)
		default:
			continue
		}
		if strings.ContainsAny(value, ";=\x00") {
			return nil, invalid("the endpoint's GenericParams cannot be handed to CNI: the value of %q has ';', '=' or a zero byte in it", key)
		}
		args = append(args, [2]string{key, value})
	}
	return args, nil
}
