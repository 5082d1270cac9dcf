package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// together is a collector of what several collect, one after the other. The
// registry would start a goroutine for each, which the mining threads have to make
// room for: more work than what they do.
type together []prometheus.Collector

// Describe implements [prometheus.Collector].
func (t together) Describe(descs chan<- *prometheus.Desc) {
	for _, c := range t {
		c.Describe(descs)
	}
}

// Collect implements [prometheus.Collector].
func (t together) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range t {
		c.Collect(metrics)
	}
}

// seldom is a collector that collects once a second at most. What the process
// asks of the runtime and the operating system costs it more than all the miner's
// own metrics.
type seldom struct {
	prometheus.Collector

	mu      sync.Mutex
	at      time.Time
	metrics []prometheus.Metric
}

// Collect implements [prometheus.Collector].
func (s *seldom) Collect(metrics chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.metrics == nil || time.Since(s.at) >= time.Second {
		s.at, s.metrics = time.Now(), collect(s.Collector)
	}
	for _, metric := range s.metrics {
		metrics <- metric
	}
}

// collect returns what a collector collects.
func collect(c prometheus.Collector) (metrics []prometheus.Metric) {
	collected := make(chan prometheus.Metric)
	go func() {
		defer close(collected)
		c.Collect(collected)
	}()
	for metric := range collected {
		metrics = append(metrics, metric)
	}
	return metrics
}
