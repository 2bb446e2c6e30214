package endpoints

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/pouchfx/pouchfx/plugins/when"
)

// Config is the section plugins.endpoints of the configuration file.
type Config struct {
	// Rules are applied in their order. The first that sets something wins,
	// unless one that overrides comes later.
	Rules []Rule `yaml:"rules"`
}

// Rule is what is done to the endpoints that it is for.
type Rule struct {
	// When says for which containers it is.
	When *when.When `yaml:"when"`
	// Network is a pattern for the network's name.
	Network *when.Pattern `yaml:"network"`
	// Env are patterns for the values of variables. A variable that is missing
	// matches only a pattern that is negated.
	Env map[string]*when.Pattern `yaml:"env"`
	// MAC is the address of the interface.
	MAC MAC `yaml:"mac"`
	// Priority orders a container's interfaces: that with the biggest comes
	// first and has the default route.
	Priority *int `yaml:"priority"`
	// DNS are name servers, DNSSearch the domains that names are looked up in,
	// DNSOptions those of resolv.conf.
	DNS        []netip.Addr `yaml:"dns"`
	DNSSearch  []string     `yaml:"dns-search"`
	DNSOptions []string     `yaml:"dns-options"`
	// DisableResolver leaves the container without the embedded DNS server.
	DisableResolver bool `yaml:"disable-resolver"`
	// Args are arguments for the network's CNI plugins.
	Args map[string]string `yaml:"args"`
	// Override lets the rule replace what is set already; without it that
	// stays.
	Override bool `yaml:"override"`
}

// Validate reports a rule that does nothing, or what cannot be done.
func (r Rule) Validate() error {
	if r.MAC == nil && r.Priority == nil && len(r.DNS)+len(r.DNSSearch)+len(r.DNSOptions)+len(r.Args) == 0 && !r.DisableResolver {
		return fmt.Errorf("the rule does nothing: give one of mac, priority, dns, dns-search, dns-options, disable-resolver, args")
	}
	argument := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	for key, value := range r.Args {
		switch strings.ToLower(key) {
		case "ip", "ips", "mac", "ignoreunknown":
			return fmt.Errorf("args: %q is not for rules: addresses are set by the client, and by mac", key)
		}
		if !argument.MatchString(key) || strings.ContainsAny(value, ";=\x00") {
			return fmt.Errorf("args: %q=%q cannot be an argument of CNI: use letters, digits, _, . and - in names, and no ; and = in values", key, value)
		}
	}
	return nil
}

// MAC is an address of six bytes, or the first three.
type MAC net.HardwareAddr

// UnmarshalText reads an address.
func (m *MAC) UnmarshalText(text []byte) error {
	whole, given := string(text), 6
	if strings.Count(whole, ":") == 2 {
		whole, given = whole+":00:00:00", 3
	}
	mac, err := net.ParseMAC(whole)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return fmt.Errorf("%q is no address of an interface: write six bytes, or the first three for the others to differ, such as 02:42:ac; the first byte is even", text)
	}
	*m = MAC(mac[:given])
	return nil
}
