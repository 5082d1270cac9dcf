package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// GPU is how a device stands.
type GPU struct {
	// Name is what its worker is called, such as gpu0; it is that of a place in the
	// driver's list. ID is the device's own, or empty.
	Name, ID string
	// Model, Vendor, Backend and Driver say what it is, and how it is reached.
	Model, Vendor, Backend, Driver string
	// State is one of [Setup.GPUStates], and Reason why it is not ready, if it has failed: that is
	// for the status, and no metric.
	State, Reason string
	// Restarts is how often its process was started again.
	Restarts int
	// Launch is how long the last launch took, and Queued how many were queued behind it.
	Launch time.Duration
	Queued int
}

// gpus turns how devices stand into metrics, when it is scraped.
type gpus struct {
	states []string
	now    func() []GPU
}

// The metrics of devices. The label gpu is what their workers are called: a number in the
// driver's list, while the id of miner_gpu_info is the card's.
var (
	gpuInfo     = desc("miner_gpu_info", "A device that is mined on; always 1.", "gpu", "name", "vendor", "backend", "driver", "id")
	gpuState    = desc("miner_gpu_state", "1 for the state that a device has, 0 for the others.", "gpu", "state")
	gpuRestarts = desc("miner_gpu_restarts_total", "Restarts of a device's process.", "gpu")
	gpuLaunch   = desc("miner_gpu_launch_seconds", "How long the last launch took.", "gpu")
	gpuQueue    = desc("miner_gpu_queued_launches", "Launches that were queued behind the last one when it was done.", "gpu")
)

// Describe implements [prometheus.Collector].
func (gpus) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gpuInfo, gpuState, gpuRestarts, gpuLaunch, gpuQueue} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (g gpus) Collect(metrics chan<- prometheus.Metric) {
	for _, d := range g.now() {
		metrics <- newGauge(gpuInfo, 1, d.Name, d.Model, d.Vendor, d.Backend, d.Driver, d.ID)
		for _, state := range g.states {
			is := 0.0
			if state == d.State {
				is = 1
			}
			metrics <- newGauge(gpuState, is, d.Name, state)
		}
		metrics <- newCounter(gpuRestarts, uint64(d.Restarts), d.Name)
		metrics <- newGauge(gpuLaunch, d.Launch.Seconds(), d.Name)
		metrics <- newGauge(gpuQueue, float64(d.Queued), d.Name)
	}
}
