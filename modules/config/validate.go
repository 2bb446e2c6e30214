package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// validate reports every setting that cannot work, with where its value came
// from.
func (c *Config) validate() error {
	var errs []error
	check := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.where(key), err))
		}
	}
	if len(c.Hosts) == 0 {
		check("hosts", errors.New("the API needs at least one address, such as unix:///run/pouchfx/pouchfx.sock"))
	}
	for _, h := range c.Hosts {
		check("hosts", c.checkHost(h))
	}
	check("data-root", checkAbsolute(c.DataRoot, "a directory such as /var/lib/pouchfx"))
	check("exec-root", checkAbsolute(c.ExecRoot, "a directory such as /run/pouchfx"))
	if filepath.Clean(c.DataRoot) == filepath.Clean(c.ExecRoot) {
		check("exec-root", fmt.Errorf("%s is the data-root too: use another directory", c.ExecRoot))
	}
	if c.Containerd != "" {
		check("containerd", checkAbsolute(strings.TrimPrefix(c.Containerd, "unix://"), "a socket such as /run/containerd/containerd.sock"))
	}
	if c.Pidfile != "" {
		check("pidfile", checkAbsolute(c.Pidfile, "a file such as /run/pouchfx.pid"))
	}
	if c.TLSVerify && (c.TLSCACert == "" || c.TLSCert == "" || c.TLSKey == "") {
		check("tlsverify", errors.New("it needs tlscacert, tlscert and tlskey as well"))
	} else if (c.TLSCert == "") != (c.TLSKey == "") {
		check("tlscert", errors.New("tlscert and tlskey belong together: give both or none"))
	}
	for _, r := range c.InsecureRegistries {
		check("insecure-registries", checkRegistry(r))
	}
	c.validateCRI(check)
	if c.MetricsAddr != "" {
		check("metrics-addr", c.checkMetricsAddr())
	}
	check("log-level", checkOneOf(c.LogLevel, "debug", "info", "warn", "error"))
	check("log-format", checkOneOf(c.LogFormat, "text", "json"))
	for key, d := range map[string]time.Duration{"start-timeout": c.StartTimeout, "stop-timeout": c.StopTimeout, "shutdown-timeout": c.ShutdownTimeout} {
		if d <= 0 {
			check(key, fmt.Errorf("%v: must be longer than nothing, such as 30s", d))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// where tells where the value of a setting came from.
func (c *Config) where(key string) string {
	if origin, ok := c.origin[key]; ok {
		return origin
	}
	return key
}

func (c *Config) checkHost(host string) error {
	scheme, rest, found := strings.Cut(host, "://")
	switch {
	case found && scheme == "unix":
		return checkSocket(host, rest)
	case found && scheme == "tcp":
		_, port, err := net.SplitHostPort(rest)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%q: write tcp://address:port with a port up to 65535, as in tcp://127.0.0.1:2376", host)
		}
		if !c.TLSVerify && !c.InsecureTCP {
			return fmt.Errorf("%q: whoever reaches this port becomes root here: demand client certificates with tlsverify, or insist with insecure-tcp", host)
		}
	case host == "fd://": // the sockets that systemd passes
	default:
		return fmt.Errorf("%q: use unix:///path, tcp://address:port, or fd:// for systemd's sockets", host)
	}
	return nil
}

// checkMetricsAddr keeps what is served without any certificate on this machine,
// unless somebody insists.
func (c *Config) checkMetricsAddr() error {
	if path, unix := strings.CutPrefix(c.MetricsAddr, "unix://"); unix {
		if slices.Contains(c.Hosts, c.MetricsAddr) || c.MetricsAddr == c.CRIHost {
			return fmt.Errorf("%q is the address of the API or of CRI too: use another path", c.MetricsAddr)
		}
		return checkSocket(c.MetricsAddr, path)
	}
	host, port, err := net.SplitHostPort(c.MetricsAddr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q: write host:port or unix:///path, as in 127.0.0.1:9323", c.MetricsAddr)
	}
	if ip, err := netip.ParseAddr(host); (err != nil || !ip.IsLoopback()) && host != "localhost" && !c.InsecureMetrics {
		return fmt.Errorf("%q: whoever reaches this address may read the metrics: use 127.0.0.1, a unix socket, or insist with insecure-metrics", c.MetricsAddr)
	}
	return nil
}

func checkSocket(host, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q: a unix socket needs an absolute path, as in unix:///run/pouchfx/pouchfx.sock", host)
	}
	// The kernel's limit is 108 bytes with the final zero.
	if len(path) > 107 {
		return fmt.Errorf("%q: the path of a unix socket has at most 107 bytes, this one has %d", host, len(path))
	}
	return nil
}

func checkAbsolute(path, want string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%q: must be an absolute path, %s", path, want)
	case filepath.Clean(path) == "/":
		return fmt.Errorf("%q: must not be the root directory: use %s", path, want)
	}
	return nil
}

var hostPort = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$`)
})

func checkRegistry(r string) error {
	if _, err := netip.ParsePrefix(r); err == nil || hostPort().MatchString(r) {
		return nil
	}
	return fmt.Errorf("%q: use host, host:port or a network such as 10.0.0.0/8, without a scheme", r)
}

func checkOneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%q: use %s", value, strings.Join(allowed, ", "))
}
