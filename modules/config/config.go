// Package config makes one typed value of the configuration file, the
// environment and the command line's flags.
//
// It is strict: a key that nobody knows, a value of the wrong type and a value
// that cannot work are errors that name where the value came from, what is
// wrong and what is allowed, and all of them are reported at once. A later
// source wins: defaults, file, environment, flags.
//
// Each plugin has a section of its own in the file. It is decoded, as
// strictly, over what the plugin's provider gave as defaults; see
// [Config.Plugin].
package config

import "time"

// DefaultFile is read when no other file is asked for. It need not exist.
const DefaultFile = "/etc/pouchfx/config.yaml"

// Config is the daemon's configuration. The names of the settings in the
// file, in the environment and among the flags are in settings.go.
type Config struct {
	// Hosts are the addresses on which the API listens: unix:///path or
	// tcp://host:port.
	Hosts []string
	// DataRoot holds what outlives a reboot: images, containers, volumes.
	DataRoot string
	// ExecRoot holds sockets, pipes and the state of running containers.
	ExecRoot string
	// Containerd is the socket of an external containerd; empty means the one
	// embedded in this process.
	Containerd string
	// Snapshotter holds root filesystems; empty means overlayfs.
	Snapshotter string

	// Group owns the API's unix sockets: a name or a number; empty means the
	// daemon's own group.
	Group string
	// Pidfile gets the daemon's process id; empty means no file.
	Pidfile string

	// TLSVerify demands a certificate signed by TLSCACert from tcp clients.
	TLSVerify bool
	// TLSCACert, TLSCert and TLSKey are PEM files.
	TLSCACert, TLSCert, TLSKey string
	// InsecureTCP allows tcp hosts whose clients show no certificate: whoever
	// reaches such a port is root on this machine.
	InsecureTCP bool

	// InsecureRegistries may be spoken to without TLS, or with a certificate
	// that nobody vouches for: host, host:port or a network as in 10.0.0.0/8.
	// Loopback always may.
	InsecureRegistries []string

	// CRIHost is the address on which CRI listens, unix:///path; empty means
	// that there is no CRI, but for a daemon that has nothing else.
	CRIHost string
	// CRI is the section cri of the file.
	CRI CRI

	// MetricsAddr is where metrics and health are served besides the API:
	// host:port or unix:///path; empty means nowhere.
	MetricsAddr string
	// InsecureMetrics allows a MetricsAddr that is not on loopback: whoever
	// reaches it may read what is there.
	InsecureMetrics bool

	// OnConflict is the section conflicts of the file.
	OnConflict OnConflict

	// LiveRestore leaves containers running when the daemon stops.
	LiveRestore bool

	// LogLevel is debug, info, warn or error.
	LogLevel string
	// LogFormat is text or json. The rare lines of containers' shims, which
	// the embedded containerd copies to stderr, are logfmt with either.
	LogFormat string

	// StartTimeout and StopTimeout bound one step of the daemon's start and
	// stop, not the whole of it.
	StartTimeout, StopTimeout time.Duration
	// ShutdownTimeout bounds how long the daemon, when it stops, waits for
	// requests in progress.
	ShutdownTimeout time.Duration

	origin   map[string]string   // setting → where its value came from
	sections map[string]*section // the plugins' sections
}

// Default returns the configuration that holds where nobody says otherwise.
func Default() Config {
	return Config{
		Hosts:           []string{"unix:///run/pouchfx/pouchfx.sock"},
		DataRoot:        "/var/lib/pouchfx",
		ExecRoot:        "/run/pouchfx",
		LiveRestore:     true,
		LogLevel:        "info",
		LogFormat:       "text",
		StartTimeout:    time.Minute,
		StopTimeout:     30 * time.Second,
		ShutdownTimeout: 15 * time.Second,
	}
}
