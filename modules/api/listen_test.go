package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestTheSocketIsForTheGroupOnly(t *testing.T) {
	d := startDaemon(t, func(p *Params) { p.Config.Group = fmt.Sprint(os.Getgid()) })
	info, err := os.Stat(d.socket)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	assert.EqualValues(t, os.Getgid(), info.Sys().(*syscall.Stat_t).Gid)
	assert.Equal(t, d.socket, d.Addrs()[0].String())
	others, err := os.ReadDir(filepath.Dir(d.socket))
	require.NoError(t, err)
	assert.Len(t, others, 1, "nothing beside the socket")
}

func TestAnUnknownGroupFailsTheStart(t *testing.T) {
	d := newDaemon(t, func(p *Params) { p.Config.Group = "no-such-group" })
	assert.ErrorContains(t, d.Start(t.Context()), "no-such-group")
	assert.NoFileExists(t, d.socket)
}

func TestAnotherDaemonsSocketIsLeftAlone(t *testing.T) {
	one := startDaemon(t)
	two := newDaemon(t, func(p *Params) { p.Config.Hosts = one.params.Config.Hosts })
	assert.ErrorContains(t, two.Start(t.Context()), "another daemon is listening on "+one.socket)
	res, _ := one.dial().do("GET", "/_ping", "")
	assert.Equal(t, 200, res.StatusCode)
}

func TestASocketLeftBehindIsReplacedAndRemovedAtTheEnd(t *testing.T) {
	d := newDaemon(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.socket, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, d.socket)
	require.NoError(t, d.Start(t.Context()))
	res, _ := d.dial().do("GET", "/_ping", "")
	assert.Equal(t, 200, res.StatusCode)
	require.NoError(t, d.Stop(context.Background()))
	assert.NoFileExists(t, d.socket)
}

func TestAFileInTheWayIsLeftAlone(t *testing.T) {
	d := newDaemon(t)
	require.NoError(t, os.WriteFile(d.socket, []byte("precious"), 0o600))
	assert.ErrorContains(t, d.Start(t.Context()), "is not a socket")
	text, err := os.ReadFile(d.socket)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(text))
}

func TestOneBadHostClosesTheOthers(t *testing.T) {
	for _, host := range []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "ftp://x", "fd://", ""} {
		d := newDaemon(t, func(p *Params) {
			p.Config.Hosts = append(p.Config.Hosts, host)
			p.Config.InsecureTCP = host != "tcp://127.0.0.1:0"
		})
		assert.Error(t, d.Start(t.Context()), host)
		assert.NoFileExists(t, d.socket)
	}
}

func TestAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	d := newDaemon(t, func(p *Params) {
		p.Config.Hosts, p.Config.InsecureTCP = []string{"tcp://" + taken.Addr().String()}, true
	})
	assert.ErrorContains(t, d.Start(t.Context()), "address already in use: stop the program that uses it, or choose another --host")
}

func TestPlainTCPMustBeAskedFor(t *testing.T) {
	d := newDaemon(t, func(p *Params) { p.Config.Hosts = []string{"tcp://127.0.0.1:0"} })
	assert.ErrorContains(t, d.Start(t.Context()), "--tlsverify")

	d = startDaemon(t, func(p *Params) { p.Config.Hosts, p.Config.InsecureTCP = []string{"tcp://127.0.0.1:0"}, true })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + d.Addrs()[0].String() + "/_ping")
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, 200, res.StatusCode)
}

func TestTLSClientsShowACertificateAndAreNamedByIt(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := issue(t, dir, "ca", nil, nil)
	issue(t, dir, "server", ca, caKey)
	issue(t, dir, "alice", ca, caKey)
	var user string
	d := startDaemon(t, func(p *Params) {
		c := p.Config
		c.Hosts, c.TLSVerify = []string{"tcp://127.0.0.1:0"}, true
		c.TLSCACert, c.TLSCert, c.TLSKey = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
		p.Hooks = hooks(func(all []*types.HandlerSpec) []*types.HandlerSpec {
			return append(all, types.NewHandlerSpec("GET", "/who", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
				user = plugins.RequestFrom(ctx).RemoteUser
				return nil
			}))
		})
	})
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	get := func(c *tls.Config) error {
		c.RootCAs = pool
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
		res, err := client.Get("https://" + d.Addrs()[0].String() + "/who")
		if err == nil {
			assert.Equal(t, 1, res.ProtoMajor, "HTTP/2 cannot be hijacked")
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return err
	}
	assert.Error(t, get(&tls.Config{}))
	alice, err := tls.LoadX509KeyPair(filepath.Join(dir, "alice.pem"), filepath.Join(dir, "alice.key"))
	require.NoError(t, err)
	require.NoError(t, get(&tls.Config{Certificates: []tls.Certificate{alice}}))
	assert.Equal(t, "alice", user)

	d.containers.attach = echo // half-close over TLS
	conn, err := tls.Dial("tcp", d.Addrs()[0].String(), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{alice}})
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nhi")
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(all), "got hi")
}

func TestBadCertificatesFailTheStart(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := issue(t, dir, "ca", nil, nil)
	issue(t, dir, "server", ca, caKey)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "none.pem"), nil, 0o600))
	for _, files := range [][3]string{{"ca.pem", "nosuch", "server.key"}, {"nosuch", "server.pem", "server.key"}, {"none.pem", "server.pem", "server.key"}} {
		d := newDaemon(t, func(p *Params) {
			c := p.Config
			c.Hosts, c.TLSVerify = []string{"tcp://127.0.0.1:0"}, true
			c.TLSCACert, c.TLSCert, c.TLSKey = filepath.Join(dir, files[0]), filepath.Join(dir, files[1]), filepath.Join(dir, files[2])
		})
		assert.Error(t, d.Start(t.Context()), files)
	}
}

// issue writes name.pem and name.key: signed by ca, or an authority of its
// own when ca is nil.
func issue(t *testing.T, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	if ca == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}
