package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
)

// netLimit bounds what an applet waits for others.
const netLimit = 10 * time.Second

// ifaces prints a line for each interface, in the kernel's order: its name,
// MAC address and addresses. "ifaces gateway" prints through which of them the
// default route leads, and where.
func ifaces(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) > 0 {
		return gateway(sh)
	}
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		words := []string{i.Name, i.HardwareAddr.String()}
		addrs, err := i.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
				words = append(words, p.String())
			}
		}
		fmt.Fprintln(sh.Stdout, strings.Join(words, " "))
	}
	return nil
}

// gateway reads the kernel's table: interface, destination and gateway as
// hexadecimal numbers of the machine's byte order.
func gateway(sh interp.HandlerContext) error {
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		var raw [4]byte
		if len(fields) < 3 || fields[1] != "00000000" {
			continue
		}
		if _, err := fmt.Sscanf(fields[2], "%02x%02x%02x%02x", &raw[3], &raw[2], &raw[1], &raw[0]); err != nil {
			return err
		}
		fmt.Fprintln(sh.Stdout, fields[0], netip.AddrFrom4(raw))
		return nil
	}
	return errors.New("no default route")
}

// resolve prints the addresses of a name, or the names of an address, sorted.
func resolve(ctx context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: resolve NAME|ADDRESS")
	}
	ctx, cancel := context.WithTimeout(ctx, netLimit)
	defer cancel()
	look := net.DefaultResolver.LookupHost
	if net.ParseIP(args[0]) != nil {
		look = net.DefaultResolver.LookupAddr
	}
	found, err := look(ctx, args[0])
	if err != nil {
		return err
	}
	slices.Sort(found)
	_, err = fmt.Fprintln(sh.Stdout, strings.Join(found, "\n"))
	return err
}

// get prints what an address on the web answers.
func get(ctx context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: get URL")
	}
	ctx, cancel := context.WithTimeout(ctx, netLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(sh.Stdout, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}
