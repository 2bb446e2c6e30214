package containers

import "github.com/prometheus/client_golang/prometheus"

// states counts the containers when the metrics are asked for.
type states struct {
	service interface {
		Counts() (running, paused, stopped int)
	}
}

var statesDesc = prometheus.NewDesc("pouchfx_containers",
	"The containers of the Docker API by state: running, paused or stopped.", []string{"state"}, nil)

func (states) Describe(descs chan<- *prometheus.Desc) { descs <- statesDesc }

func (s states) Collect(metrics chan<- prometheus.Metric) {
	running, paused, stopped := s.service.Counts()
	for state, n := range map[string]int{"running": running, "paused": paused, "stopped": stopped} {
		metrics <- prometheus.MustNewConstMetric(statesDesc, prometheus.GaugeValue, float64(n), state)
	}
}
