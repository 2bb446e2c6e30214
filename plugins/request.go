package plugins

import "context"

// The front ends through which a request can come.
const (
	FrontEndDocker = "docker"
	FrontEndCRI    = "cri"
)

// Request says who asks and for what: the part of a hook's context that its
// arguments do not carry.
type Request struct {
	// FrontEnd is FrontEndDocker or FrontEndCRI; empty when the daemon itself
	// acts, as a restart policy does.
	FrontEnd string
	// Name is the name of the object that the request is about: of the
	// container to be made, started or updated, without a leading slash.
	Name string
	// ID is the object's id where it exists already.
	ID string
	// Image and Labels are those of the container that is started, connected
	// or updated, and not to be changed. In PreCreate the configuration tells
	// them.
	Image  string
	Labels map[string]string
	// RemoteUser is who asks: the common name of the client's certificate, or
	// "uid:N" of the peer of a unix socket; empty when that is not known.
	RemoteUser string
	// DryRun is set when nothing will come of the call.
	DryRun bool
	// Pod is whose container the request is about; zero outside Kubernetes.
	Pod Pod
}

// Pod names a pod of Kubernetes.
type Pod struct {
	Name, Namespace, UID string
}

type requestKey struct{}

// WithRequest returns a context that carries r to the hooks.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the request of a hook's context; the zero Request when
// there is none.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
