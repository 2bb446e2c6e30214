package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authority signs certificates.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes name.pem and name.key; the first of an authority is its own.
func (a *authority) issue(t *testing.T, name string, organizations ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: organizations},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if a.cert == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		require.NoError(t, os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

// as is a client with a certificate.
func (a *authority) as(t *testing.T, name, address string) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost("tcp://"+address),
		client.WithTLSClientConfig(filepath.Join(a.dir, "ca.pem"), filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestApiGuardKnowsClientsByTheirCertificate(t *testing.T) {
	a := &authority{dir: t.TempDir()}
	a.issue(t, "ca")
	a.issue(t, "server")
	a.issue(t, "alice", "ops")
	a.issue(t, "bob", "dev")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, audit := l.Addr().String(), filepath.Join(a.dir, "audit.json")
	require.NoError(t, l.Close())
	d := configured(t, embedded, `
tlsverify: true
tlscacert: `+a.dir+`/ca.pem
tlscert: `+a.dir+`/server.pem
tlskey: `+a.dir+`/server.key
plugins:
  apiguard:
    rules:
      - {name: anyone looks, do: allow, methods: [GET, HEAD], paths: [/_ping, /version, "/containers/json"]}
      - {name: root, do: allow, who: {uid: "0"}}
      - {name: operators, do: allow, who: {o: ops}}
    remove: [{methods: [POST], paths: [/containers/prune]}]
    audit: {file: `+audit+`}
`, "--host", "tcp://"+address)
	require.NoError(t, d.start())
	d.load(t, "box") // as root, over the socket
	alice, bob := a.as(t, "alice", address), a.as(t, "bob", address)
	o := client.ContainerCreateOptions{Name: "web", Config: &container.Config{Image: "box", Cmd: []string{"sleep", "1000"}, Env: []string{"PASSWORD=hunter2"}}, HostConfig: &container.HostConfig{NetworkMode: "none"}}
	_, err = bob.ContainerCreate(testContext(t), o)
	assert.True(t, cerrdefs.IsPermissionDenied(err), "%v", err)
	assert.ErrorContains(t, err, "bob may not POST /containers/create: no rule allows it")
	created, err := alice.ContainerCreate(testContext(t), o)
	require.NoError(t, err)
	_, err = alice.ContainerStart(testContext(t), created.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	list, err := bob.ContainerList(testContext(t), client.ContainerListOptions{})
	require.NoError(t, err)
	assert.Len(t, list.Items, 1)
	_, err = bob.ContainerKill(testContext(t), created.ID, client.ContainerKillOptions{})
	assert.True(t, cerrdefs.IsPermissionDenied(err), "%v", err)
	_, err = alice.ContainerPrune(testContext(t), client.ContainerPruneOptions{})
	assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	attached, err := alice.ExecCreate(testContext(t), created.ID, client.ExecCreateOptions{Cmd: []string{"sh", "-c", "echo hi"}, AttachStdout: true})
	require.NoError(t, err)
	stream, err := alice.ExecAttach(testContext(t), attached.ID, client.ExecAttachOptions{})
	require.NoError(t, err, "a hijacked connection passes through the guard")
	line, err := bufio.NewReader(stream.Reader).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "hi")
	stream.Close()

	info, err := os.Stat(audit)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(audit)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")
	type record struct {
		Event, Method, Route, Decision, Rule string
		Status                               int
		Client                               struct{ CN, O, UID []string }
	}
	var answers []record
	for _, l := range lines(string(text)) {
		var r record
		require.NoError(t, json.Unmarshal([]byte(l), &r), l)
		if r.Event == "answered" && r.Route != "/_ping" {
			answers = append(answers, r)
		}
	}
	require.GreaterOrEqual(t, len(answers), 5)
	assert.Equal(t, []string{"0"}, answers[0].Client.UID)
	assert.Equal(t, record{Event: "answered", Method: "POST", Route: "/containers/create", Decision: "deny", Status: 403, Client: struct{ CN, O, UID []string }{CN: []string{"bob"}, O: []string{"dev"}}}, answers[1])
	assert.Equal(t, record{Event: "answered", Method: "POST", Route: "/containers/create", Decision: "allow", Rule: "operators", Status: 201, Client: struct{ CN, O, UID []string }{CN: []string{"alice"}, O: []string{"ops"}}}, answers[2])
}

// The example's rules are for routes of this daemon, or it would not start.
func TestTheExampleOfApiGuardStarts(t *testing.T) {
	readme, err := os.ReadFile("../plugins/apiguard/README.md")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	audit := filepath.Join(t.TempDir(), "audit")
	d := configured(t, embedded, strings.ReplaceAll(example, "/var/log/pouchfx-audit.json", audit))
	require.NoError(t, d.start())
	d.load(t, "box")
	assert.Equal(t, "hello\n", d.run(t, "echo hello").stdout)
	assert.FileExists(t, audit)
}

func TestAnApiGuardThatShutsNothingFailsTheStart(t *testing.T) {
	d := configured(t, embedded, "plugins: {apiguard: {default: allow, remove: [{paths: [/buidl]}]}}\n")
	assert.ErrorContains(t, d.start(), "remove[0] matches no route")
}
