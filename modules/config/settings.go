package config

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// setting is one line of the table below: the names of a field of Config.
type setting struct {
	key   string // in the file; the environment's name is made from it
	flag  string // empty: the key
	short string // the flag's one letter
	field func(*Config) any
	usage string
}

var settings = []setting{
	{"hosts", "host", "H", func(c *Config) any { return &c.Hosts }, "address to listen on, unix:///path, tcp://host:port or fd:// (systemd); may be repeated"},
	{"data-root", "", "", func(c *Config) any { return &c.DataRoot }, "directory of images, containers and volumes"},
	{"exec-root", "", "", func(c *Config) any { return &c.ExecRoot }, "directory of the state of running containers"},
	{"containerd", "", "", func(c *Config) any { return &c.Containerd }, "socket of an external containerd; without it the embedded one runs"},
	{"snapshotter", "", "", func(c *Config) any { return &c.Snapshotter }, "containerd's snapshotter for root filesystems (default overlayfs)"},
	{"group", "", "G", func(c *Config) any { return &c.Group }, "group of the unix sockets"},
	{"pidfile", "", "p", func(c *Config) any { return &c.Pidfile }, "file that gets the process id"},
	{"tlsverify", "", "", func(c *Config) any { return &c.TLSVerify }, "demand a certificate from tcp clients"},
	{"tlscacert", "", "", func(c *Config) any { return &c.TLSCACert }, "file with the certificates that sign clients' certificates"},
	{"tlscert", "", "", func(c *Config) any { return &c.TLSCert }, "file with the daemon's certificate"},
	{"tlskey", "", "", func(c *Config) any { return &c.TLSKey }, "file with the daemon's key"},
	{"insecure-tcp", "", "", func(c *Config) any { return &c.InsecureTCP }, "allow tcp hosts without client certificates: whoever reaches the port becomes root here"},
	{"insecure-registries", "insecure-registry", "", func(c *Config) any { return &c.InsecureRegistries }, "registry, host[:port] or network, to be spoken to without verified TLS; may be repeated"},
	{"cri-host", "", "", func(c *Config) any { return &c.CRIHost }, "address of CRI for kubelet, unix:///path"},
	{"metrics-addr", "", "", func(c *Config) any { return &c.MetricsAddr }, "address of /metrics and /health, host:port on loopback or unix:///path"},
	{"insecure-metrics", "", "", func(c *Config) any { return &c.InsecureMetrics }, "allow a metrics-addr that others can reach: they need no certificate to read it"},
	{"live-restore", "", "", func(c *Config) any { return &c.LiveRestore }, "leave containers running when the daemon stops"},
	{"log-level", "", "l", func(c *Config) any { return &c.LogLevel }, "debug, info, warn or error"},
	{"log-format", "", "", func(c *Config) any { return &c.LogFormat }, "text or json; what containers' shims say is logfmt (time=… level=… msg=…) with either"},
	{"start-timeout", "", "", func(c *Config) any { return &c.StartTimeout }, "bound of one step of starting"},
	{"stop-timeout", "", "", func(c *Config) any { return &c.StopTimeout }, "bound of one step of stopping"},
	{"shutdown-timeout", "", "", func(c *Config) any { return &c.ShutdownTimeout }, "how long requests in progress may delay the stop"},
}

// flagName is the setting's name among the flags.
func (s setting) flagName() string {
	if s.flag != "" {
		return s.flag
	}
	return s.key
}

// envPrefix begins the name of every setting in the environment.
const envPrefix = "POUCHFX_"

// envName is the setting's name in the environment: data-root is
// POUCHFX_DATA_ROOT.
func (s setting) envName() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, "-", "_"))
}

// AddFlags adds one flag for each setting, with its default, to flags. [Load]
// reads those that were given.
func AddFlags(flags *pflag.FlagSet) {
	c := Default()
	for _, s := range settings {
		switch v := s.field(&c).(type) {
		case *string:
			flags.StringP(s.flagName(), s.short, *v, s.usage)
		case *bool:
			flags.BoolP(s.flagName(), s.short, *v, s.usage)
		case *time.Duration:
			flags.DurationP(s.flagName(), s.short, *v, s.usage)
		case *[]string:
			flags.StringArrayP(s.flagName(), s.short, *v, s.usage)
		}
	}
}
