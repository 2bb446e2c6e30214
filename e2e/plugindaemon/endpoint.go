package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/networktypes"
)

// PreCreateEndpoint does what variables of the container's environment ask
// for: "MOODY_1=mine mac=02:00:00:00:00:01 priority=5" is about the network
// mine. It writes what it got into the record.
func (m *moody) PreCreateEndpoint(_ context.Context, id string, env []string, e *networktypes.Endpoint) error {
	if m.name != "moody" {
		return m.feel("PreCreateEndpoint", "", func() {})
	}
	if m.config.Record != "" {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(m.config.Record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		fmt.Fprintln(f, "endpoint", id, string(text))
		f.Close()
	}
	for _, v := range env {
		_, asked, ok := strings.Cut(v, "="+e.Network+" ")
		if !strings.HasPrefix(v, "MOODY_") || !ok {
			continue
		}
		for word := range strings.FieldsSeq(asked) {
			if err := m.change(e, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// change does one of the things that a hook may do to an endpoint.
func (m *moody) change(e *networktypes.Endpoint, word string) (err error) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "mood":
		switch value {
		case "nil":
			e.EndpointConfig = nil
		case "garbage":
			e.EndpointConfig.MacAddress = network.HardwareAddr{1, 2, 3}
		}
		err = m.feel("PreCreateEndpoint", value, func() { e.Priority = 99 })
	case "mac":
		err = e.EndpointConfig.MacAddress.UnmarshalText([]byte(value))
	case "ip":
		e.EndpointConfig.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(value)}
	case "alias":
		e.EndpointConfig.Aliases = append(e.EndpointConfig.Aliases, value)
	case "priority":
		e.Priority, err = strconv.Atoi(value)
	case "dns":
		e.DNS = []netip.Addr{netip.MustParseAddr(value)}
	case "search":
		e.DNSSearch = []string{value}
	case "option":
		e.DNSOptions = []string{value}
	case "resolver":
		e.DisableResolver = value == "off"
	case "param":
		k, v, _ := strings.Cut(value, ":")
		e.GenericParams[k] = v
	case "owner": // not for a plugin to choose
		e.Owner, e.Network, e.EndpointConfig.NetworkID = value, value, value
	}
	return err
}
