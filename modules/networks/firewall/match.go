package firewall

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A match is a list of expressions that ends a rule unless a packet fits; the
// last expression of a rule says what to do with the packet.
type match = []expr.Any

// Registers: the first four of 16 bytes, which are also sixteen of 4 bytes.
const (
	register1  = unix.NFT_REG_1
	register2  = unix.NFT_REG_2
	register32 = unix.NFT_REG32_00
)

// ipsDstNAT is IPS_DST_NAT of the kernel's nf_conntrack_common.h: the
// connection's destination was changed.
const ipsDstNAT = 1 << 5

func rule(matches ...match) []expr.Any { return slices.Concat(matches...) }

func verdict(kind expr.VerdictKind) match { return match{&expr.Verdict{Kind: kind}} }

func jump(chain string) match { return match{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}} }

func masquerade() match { return match{&expr.Masq{}} }

func equals(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: data}
}

// interfaceName pads a name as the kernel compares it.
func interfaceName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func out(op expr.CmpOp, bridge string) match {
	return match{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register1},
		&expr.Cmp{Op: op, Register: register1, Data: interfaceName(bridge)},
	}
}

// interfaceIn matches packets whose interface (in or out) is in a set.
func interfaceIn(key expr.MetaKey, set *nftables.Set) match {
	return match{&expr.Meta{Key: key, Register: register1}, lookup(set)}
}

// pathIn matches packets whose interfaces, in and out, are a pair of a set.
func pathIn(set *nftables.Set) match {
	return match{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register1},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register2},
		lookup(set),
	}
}

func lookup(set *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: register1, SetName: set.Name, SetID: set.ID}
}

// family matches IPv4 or IPv6, which must come before a look into the header.
func family(v6 bool) match {
	proto := byte(unix.NFPROTO_IPV4)
	if v6 {
		proto = unix.NFPROTO_IPV6
	}
	return match{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register1}, equals([]byte{proto})}
}

// source and destination load an address from the IP header.
func source(register uint32, v6 bool) expr.Any {
	if v6 {
		return header(register, 8, 16)
	}
	return header(register, 12, 4)
}

func destination(register uint32, v6 bool) expr.Any {
	if v6 {
		return header(register, 24, 16)
	}
	return header(register, 16, 4)
}

func header(register, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

// from and to match packets by their address.
func from(p netip.Prefix) match { return within(p, source) }
func to(p netip.Prefix) match   { return within(p, destination) }

func within(p netip.Prefix, load func(uint32, bool) expr.Any) match {
	p = p.Masked()
	v6 := p.Addr().Is6()
	size := uint32(p.Addr().BitLen() / 8)
	mask := make([]byte, size)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return append(family(v6), load(register1, v6),
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: size, Mask: mask, Xor: make([]byte, size)},
		equals(p.Addr().AsSlice()))
}

// toHost matches packets for an address of the host.
func toHost() match {
	return match{
		&expr.Fib{Register: register1, ResultADDRTYPE: true, FlagDADDR: true},
		equals(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)),
	}
}

// protocol loads the transport protocol, port its destination port.
func protocol(register uint32) expr.Any {
	return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}
}

func port(register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}

// established matches packets of connections that were let through before.
func established() match {
	return connection(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
}

// published matches connections that a published port led elsewhere.
func published() match { return connection(expr.CtKeySTATUS, ipsDstNAT) }

func connection(key expr.CtKey, bits uint32) match {
	return match{
		&expr.Ct{Key: key, Register: register1},
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: make([]byte, 4)},
	}
}
