package networks

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/network"
)

// load reads the networks' records.
func (s *Service) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records.ForEach(bucket, func(id string, raw json.RawMessage) error {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("read the record of network %s: %w", id, err)
		}
		e, err := newEntry(r)
		if err != nil {
			return fmt.Errorf("read the record of network %s: %w", id, err)
		}
		s.networks[id] = e
		return nil
	})
}

// predefined are the networks that every daemon has. Their ids are kept: they
// are made once.
var predefined = []record{
	{Name: network.NetworkBridge, Driver: driverBridge, Options: map[string]string{
		optionDefault: "true", optionICC: "true", optionMasquerade: "true", optionHostIP: "0.0.0.0", optionMTU: "1500",
	}},
	{Name: network.NetworkHost, Driver: driverHost},
	{Name: network.NetworkNone, Driver: driverNull},
}

func (s *Service) makePredefined() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.networks {
		names = append(names, e.Name)
	}
	for _, r := range predefined {
		if slices.Contains(names, r.Name) {
			continue
		}
		r.ID, r.Created = randomID(), time.Now().UTC()
		e, err := newEntry(r)
		if err != nil {
			return err
		}
		if err := s.records.Put(bucket, r.ID, r); err != nil {
			return err
		}
		s.networks[r.ID] = e
	}
	return nil
}
