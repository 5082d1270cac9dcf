package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serial is a collector of what several collect, one after the other. The
// registry would start a goroutine for each, which the mining threads have to make
// room for: more work than what they do.
type serial []prometheus.Collector

// Describe implements [prometheus.Collector].
func (s serial) Describe(descs chan<- *prometheus.Desc) {
	for _, c := range s {
		c.Describe(descs)
	}
}

// Collect implements [prometheus.Collector].
func (s serial) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range s {
		c.Collect(metrics)
	}
}

// cached is a collector that collects once a second at most. What the process
// asks of the runtime and the operating system costs it more than all the miner's
// own metrics.
type cached struct {
	prometheus.Collector

	mu      sync.Mutex
	at      time.Time
	metrics []prometheus.Metric
}

// Collect implements [prometheus.Collector].
func (s *cached) Collect(metrics chan<- prometheus.Metric) {
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
