package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/logtest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// mineBesideGPU mines for a node on one thread and a device of package gputest, which
// main_test.go has for quantus-miner-gpu, until report, which learns of each block with the log so
// far, says that it is enough. It returns the metrics and the log.
func mineBesideGPU(t *testing.T, device int, blockTime time.Duration, report func(b simulate.Block, log string) (enough bool)) (metrics, logged string) {
	t.Helper()
	node, _, c := playNode(t)
	var log logtest.Buffer
	s := connectWith(t, c, fast.Engine{}, &log)
	s.workers = 1
	s.gpus = gpuFlags{GPU: gpuFlag{Numbers: []int{device}}, GPUThrottle: 100, GPULaunch: launchFlag(gpu.DefaultLaunch)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.metrics, s.limits.MaxConnections = listener, monitorConnections
	page := "http://" + listener.Addr().String() + "/metrics"
	ctx, stop := context.WithCancel(t.Context())
	var stopped sync.WaitGroup
	stopped.Go(func() {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	node.Blocks, node.BlockTime = 1<<30, blockTime
	finished, finish := context.WithCancel(t.Context())
	node.Report = func(b simulate.Block) {
		if report(b, log.String()) {
			finish()
		}
	}
	if err := node.Run(finished); err != nil && finished.Err() == nil {
		t.Error(err) // a seal was wrong
	}
	metrics = answer(http.Get(page))
	stop()
	stopped.Wait()
	return metrics, log.String()
}

// value returns the sum of the samples of a metric.
func value(t *testing.T, metrics, name string) (sum float64) {
	t.Helper()
	samples := regexp.MustCompile(`(?m)^`+name+`(?:{[^}]*})? (\S+)$`).FindAllStringSubmatch(metrics, -1)
	if len(samples) == 0 {
		t.Fatalf("the metrics lack %s", name)
	}
	for _, sample := range samples {
		x, err := strconv.ParseFloat(sample[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += x
	}
	return sum
}

// sound checks what holds whatever happened to a device: what the engines have counted is all that was,
// no candidate was wrong, and the device's process was ended for a reason that the log has.
func sound(t *testing.T, metrics, log, reason string) {
	t.Helper()
	if engines, all := value(t, metrics, "miner_engine_hashes_total"), value(t, metrics, "miner_hashes_total"); engines != all {
		t.Errorf("the engines have counted %.0f nonces, the miner %.0f", engines, all)
	}
	if wrong := value(t, metrics, "miner_candidates_rejected_total"); wrong != 0 {
		t.Errorf("%.0f candidates were wrong", wrong)
	}
	if !regexp.MustCompile(`"msg":"DEVICE FAILED[^}]*`+reason).MatchString(log) || strings.Contains(log, "WRONG NONCE") {
		t.Errorf("the log:\n%s", log)
	}
}

var deviceReady = regexp.MustCompile(`"msg":"device ready",[^}]*"pid":([0-9]+)`)

// TestGPUKilled kills the process of a GPU while a node is mined for: blocks go on being
// sealed on the CPU, the GPU comes back, and no seal is wrong.
func TestGPUKilled(t *testing.T) {
	const blocks = 10 // behind the one at which it is killed
	killed, away := 0, 0
	metrics, log := mineBesideGPU(t, 0, 50*time.Millisecond, func(b simulate.Block, log string) bool {
		found := deviceReady.FindAllStringSubmatch(log, -1)
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
			killed++
		}
		return killed > blocks
	})
	if away == 0 {
		t.Error("no block was sealed while the device was away")
	}
	sound(t, metrics, log, "the process has ended")
	for _, line := range []string{
		`miner_gpu_state{gpu="gpu0",state="ready"} 1`,
		`miner_gpu_restarts_total{gpu="gpu0"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// TestGPUHangs has a GPU hang while a node is mined for: blocks go on being sealed on the CPU, before
// it is noticed and when the process is started again.
func TestGPUHangs(t *testing.T) {
	before, behind := 0, 0
	metrics, log := mineBesideGPU(t, 1, 500*time.Millisecond, func(b simulate.Block, log string) bool {
		switch {
		case !b.Sealed || !deviceReady.MatchString(log):
		case !strings.Contains(log, "DEVICE FAILED"):
			before++
		case len(deviceReady.FindAllString(log, 2)) == 2:
			behind++
		}
		return behind == 3
	})
	if before < 3 {
		t.Errorf("%d blocks were sealed while the device hung", before)
	}
	sound(t, metrics, log, "the device hangs: it has been silent for ")
}
