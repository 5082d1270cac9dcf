package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// TestGPUKilled kills the process of a GPU while a node is mined for: blocks go on being
// sealed on the CPU, the GPU comes back, and no seal is wrong. (The GPU is one of package
// gputest, which main_test.go has for quantus-miner-gpu.)
func TestGPUKilled(t *testing.T) {
	node, _, c := playNode(t)
	var log logBuffer
	s := connectWith(t, c, fast.Engine{}, &log)
	s.workers = 1
	s.gpus = gpuFlags{GPU: gpuFlag{Numbers: []int{0}}, GPUThrottle: 100, GPULaunch: launchFlag(gpu.DefaultLaunch)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.metrics, s.limits.MaxConnections = listener, monitorConnections
	page := "http://" + listener.Addr().String() + "/metrics"
	ready := regexp.MustCompile(`"msg":"device ready",[^}]*"pid":([0-9]+)`)

	ctx, stop := context.WithCancel(t.Context())
	var stopped sync.WaitGroup
	stopped.Go(func() {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	const blocks = 10 // behind the one at which it is killed
	killed, away := 0, 0
	node.Blocks = 1000
	finished, finish := context.WithCancel(t.Context())
	node.Report = func(b simulate.Block) {
		found := ready.FindAllStringSubmatch(log.String(), -1)
		switch {
		case !b.Sealed || len(found) == 0:
		case killed == 0:
			pid, err := strconv.Atoi(found[0][1])
			if err != nil {
				t.Error(err)
			}
			process, err := os.FindProcess(pid)
			if err == nil {
				err = process.Kill()
			}
			if err != nil {
				t.Error(err)
			}
			killed = 1
		case len(found) == 1:
			away++
		default:
			if killed++; killed > blocks {
				finish()
			}
		}
	}
	if err := node.Run(finished); err != nil && finished.Err() == nil {
		t.Error(err)
	}
	if away == 0 {
		t.Error("no block was sealed while the device was away")
	}
	metrics := answer(http.Get(page))
	for _, line := range []string{
		`miner_gpu_state{gpu="gpu0",state="ready"} 1`,
		`miner_gpu_restarts_total{gpu="gpu0"} 1`,
		`miner_candidates_rejected_total{engine="gpu"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if !strings.Contains(log.String(), `"msg":"DEVICE FAILED`) || strings.Contains(log.String(), "WRONG NONCE") {
		t.Errorf("the log:\n%s", log.String())
	}
	stop()
	stopped.Wait()
}
