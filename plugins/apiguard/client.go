package apiguard

import (
	"context"
	"net/http"
	"strings"

	"github.com/pouchfx/pouchfx/plugins"
)

// client is who sent a request, as far as that was proved: by a certificate
// that the daemon verified, or by the kernel, for a unix socket.
type client struct {
	CN  []string `json:"cn,omitempty"`
	O   []string `json:"o,omitempty"`
	OU  []string `json:"ou,omitempty"`
	SAN []string `json:"san,omitempty"`
	UID []string `json:"uid,omitempty"`
}

func clientOf(ctx context.Context, r *http.Request) *client {
	c := &client{}
	if r.TLS == nil {
		// With TLS the name would be what a certificate says, "uid:0" too.
		if uid, ok := strings.CutPrefix(plugins.RequestFrom(ctx).RemoteUser, "uid:"); ok {
			c.UID = []string{uid}
		}
		return c
	}
	if len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return c
	}
	cert := r.TLS.PeerCertificates[0]
	if cert.Subject.CommonName != "" {
		c.CN = []string{cert.Subject.CommonName}
	}
	c.O, c.OU = cert.Subject.Organization, cert.Subject.OrganizationalUnit
	c.SAN = append(append(c.SAN, cert.DNSNames...), cert.EmailAddresses...)
	for _, ip := range cert.IPAddresses {
		c.SAN = append(c.SAN, ip.String())
	}
	for _, uri := range cert.URIs {
		c.SAN = append(c.SAN, uri.String())
	}
	return c
}

// String is who it is, for an answer.
func (c *client) String() string {
	switch {
	case len(c.CN) > 0:
		return c.CN[0]
	case len(c.SAN) > 0:
		return c.SAN[0]
	case len(c.UID) > 0:
		return "uid " + c.UID[0]
	}
	return "a client without a name"
}
