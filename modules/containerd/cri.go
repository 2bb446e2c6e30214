package containerd

import (
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// PodNamespace holds pods, their containers and images in containerd.
	PodNamespace = "k8s.io"
	// MaxCRIMessage is the longest message, in bytes, that the embedded CRI
	// takes and gives. Stock containerd's limit is 16 MiB.
	MaxCRIMessage = 64 << 20
)

// CRIConfig configures containerd's CRI in the embedded engine. An external
// containerd has its own configuration: of these there is only that CRI is
// used. What is not here is as in stock containerd, but that there is no NRI.
type CRIConfig struct {
	// CNIConfDir holds the configuration of the pods' network, of which the
	// first file counts; empty means /etc/cni/net.d.
	CNIConfDir string
	// CNIBinDirs hold CNI's programs; empty means /opt/cni/bin. What this binary
	// carries of them, bridge and host-local, is found behind those.
	CNIBinDirs []string
	// RegistryDirs hold one directory for each registry, with a hosts.toml;
	// empty means /etc/containerd/certs.d and /etc/docker/certs.d.
	RegistryDirs []string
	// SandboxImage is the image of pods' first process; empty means the one
	// that this binary carries, or else containerd's default, which is pulled
	// when the first pod is run.
	SandboxImage string
	// Pause is the program, a static executable, of the image that is used when
	// none is configured; empty means the one that this binary carries. Tests
	// give one.
	Pause string
	// CgroupDriver is CgroupSystemd or CgroupFS, and kubelet follows; empty
	// means CgroupSystemd where systemd runs.
	CgroupDriver string
	// StreamAddress is where exec, attach and port-forward are served, a
	// host:port; empty means a free port on 127.0.0.1. Whoever reaches it needs
	// a URL that CRI gave out less than a minute ago.
	StreamAddress string
	// Runtimes are the runtime handlers, by name. There always is "runc", which
	// is our runc unless configured otherwise, for pods that name none.
	Runtimes map[string]CRIRuntime
}

// The cgroup drivers.
const (
	CgroupSystemd = "systemd"
	CgroupFS      = "cgroupfs"
)

// CRIRuntime is a runtime handler of CRI.
type CRIRuntime struct {
	// Binary is a program like runc that runs under our shim; empty with Shim.
	Binary string
	// Shim is a shim of containerd, by its absolute path or its type as in
	// io.containerd.kata.v2; empty means ours.
	Shim string
	// Options are given to the shim. Those of our own shim are containerd's
	// runc options, as in BinaryName and SystemdCgroup.
	Options map[string]any
	// PodAnnotations and ContainerAnnotations are patterns of annotations that
	// get into the OCI spec; no others do.
	PodAnnotations, ContainerAnnotations []string
	// Snapshotter holds the root filesystems; empty means the engine's.
	Snapshotter string
	// PrivilegedWithoutHostDevices keeps the host's devices out of privileged
	// containers.
	PrivilegedWithoutHostDevices bool
}

// CRI is a connection to containerd's CRI, the services
// runtime.v1.RuntimeService and runtime.v1.ImageService: in memory, or that to
// the external containerd, which need not run; its calls fail with Unavailable
// at once while it does not, and work again at most three seconds after it
// does. Callers choose the limits of messages, up to [MaxCRIMessage]. It is nil
// when no CRI is configured.
func (e *Engine) CRI() *grpc.ClientConn { return e.cri }

// PodClient is like [Engine.Client] with [PodNamespace] as its default. It is
// nil when no CRI is configured.
func (e *Engine) PodClient() *client.Client { return e.podClient }

// PodRootFS is where the root filesystem of a running container of CRI is
// mounted. An external containerd is taken to keep its state where containerd
// does by default.
func (e *Engine) PodRootFS(id string) string {
	state := "/run/containerd"
	if e.Embedded() {
		state = filepath.Join(e.config.State, "containerd")
	}
	return filepath.Join(state, taskManager, PodNamespace, id, "rootfs")
}

// dialCRI makes the connection to target, which need not answer.
func (e *Engine) dialCRI(target string, o ...grpc.DialOption) error {
	conn, err := grpc.NewClient(target, append(o,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithIdleTimeout(0),
		// With the jitter no wait is longer than three seconds.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: retryTimeout},
			MinConnectTimeout: 5 * time.Second,
		}))...)
	if err != nil {
		return err
	}
	e.onStop(conn.Close)
	conn.Connect()
	e.cri = conn
	return nil
}
