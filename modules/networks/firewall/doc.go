// Package firewall publishes ports, masquerades what containers send and keeps
// networks apart, with nftables over netlink: neither iptables nor nft is
// needed on the host.
//
// Each daemon has one table of family inet. Its chains hold rules that do not
// depend on how many containers there are; what changes with networks and
// ports are elements of sets and maps, so that publishing a port is one small
// transaction which takes effect as a whole or not at all.
//
// Functions work in the network namespace of the calling thread, unless they
// are given another.
package firewall
