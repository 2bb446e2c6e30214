package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/pouchfx/pouchfx/modules/config"
)

// tlsConfig returns how tcp listeners are secured; nil means not at all,
// which InsecureTCP must allow.
func tlsConfig(c *config.Config) (*tls.Config, error) {
	if !c.TLSVerify && !c.InsecureTCP {
		return nil, errors.New("a tcp host makes whoever reaches it root here: demand client certificates with --tlsverify, or insist with --insecure-tcp")
	}
	if c.TLSCert == "" && !c.TLSVerify {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate %q with the key %q: %w", c.TLSCert, c.TLSKey, err)
	}
	// HTTP/2 has no connection to hijack, which attach and exec need.
	secure := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	if !c.TLSVerify {
		return secure, nil
	}
	ca, err := os.ReadFile(c.TLSCACert)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate authority of clients: %w", err)
	}
	secure.ClientCAs = x509.NewCertPool()
	if !secure.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", c.TLSCACert)
	}
	secure.ClientAuth = tls.RequireAndVerifyClientCert
	return secure, nil
}
