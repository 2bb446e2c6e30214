package cri

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
)

// peerCredentials asks the kernel who is on the other side of the socket.
// Nothing is encrypted: it does not leave the machine.
type peerCredentials struct{}

// user is the peer's, as "uid:N".
type user struct {
	credentials.CommonAuthInfo
	name string
}

func (user) AuthType() string { return "unix" }

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	who := user{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return conn, who, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var credential *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		credential, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil && failed == nil {
		who.name = fmt.Sprintf("uid:%d", credential.Uid)
	}
	return conn, who, nil
}

func (peerCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return insecure.NewCredentials().ClientHandshake(ctx, authority, conn)
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

func (peerCredentials) OverrideServerName(string) error { return nil }

// remoteUser tells who made a call; empty when that is not known.
func remoteUser(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	who, _ := p.AuthInfo.(user)
	return who.name
}
