package gpu

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/simd"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// The tests of a device are run by tools/gpu-check, on a machine that has one.
var (
	deviceProgram = flag.String("program", "", "the program quantus-miner-gpu, whose device is tested")
	deviceNumber  = flag.Int("device", 0, "number of that device")
	deviceBackend = flag.String("backend", "", "the one back end to use; all by default")
	deviceNonces  = flag.Uint64("nonces", 100_000_000, "how many random nonces are compared with the CPU")
	deviceTime    = flag.Duration("time", 10*time.Second, "how long the device's rate is measured")
)

// realDevice returns the device to test, ready, or skips the test.
func realDevice(t *testing.T) *Device {
	t.Helper()
	if *deviceProgram == "" {
		t.Skip("no program given")
	}
	backends, err := Backends(*deviceBackend)
	if err != nil {
		t.Fatal(err)
	}
	devices, problems := List(t.Context(), *deviceProgram, backends)
	if *deviceNumber >= len(devices) {
		t.Fatalf("there is no device %d: %v", *deviceNumber, problems)
	}
	config := Config{Program: *deviceProgram, Launch: DefaultLaunch, Throttle: 1}
	return ready(t, run(t, NewDevice(*deviceNumber, devices[*deviceNumber], config, slog.New(slog.NewTextHandler(t.Output(), nil)))))
}

func TestDeviceConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Poseidon2{}, NewEngine(realDevice(t)), block)
}

// TestDeviceWinners compares all that a device finds among many nonces, of a few headers,
// with what the CPU finds there.
func TestDeviceWinners(t *testing.T) {
	d := realDevice(t)
	r := rand.New(rand.NewPCG(1, 2))
	const stretches = 8
	compared, winners := uint64(0), 0
	for range stretches {
		s := wire.Search{ID: 1, Limit: 1<<(64-12) - 1} // one nonce in 2^12
		for i := range s.Header {
			s.Header[i] = byte(r.Uint32())
		}
		for i := range s.Start {
			s.Start[i] = r.Uint64()
		}
		size := *deviceNonces / stretches
		s.End = s.Start.AddWrap(u512.From64(size - 1))
		got, want := foundByDevice(t, d, s), foundByCPU(t, s, size)
		if !slices.Equal(got, want) {
			t.Errorf("header %x, %d nonces from %s: the device finds %d, the CPU %d", s.Header, size, s.Start.Hex(), len(got), len(want))
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("at first another: %s, want %s", got[i].Hex(), want[i].Hex())
					break
				}
			}
		}
		compared, winners = compared+size, winners+len(want)
	}
	if winners == 0 {
		t.Error("nothing was found: that shows nothing")
	}
	t.Logf("REPORT compared %d nonces, %d found by both", compared, winners)
}

// foundByDevice returns the nonces within a search's limit that the device tells of.
func foundByDevice(t *testing.T, d *Device, s wire.Search) (found []u512.Uint) {
	t.Helper()
	c, id := d.ready()
	if c == nil {
		t.Fatalf("the device is %+v", d.Status())
	}
	s.ID = id
	if err := c.send(wire.Request{Search: &s}); err != nil {
		t.Fatal(err)
	}
	for next := s.Start; ; {
		reply, err := c.receive(t.Context(), time.Minute, "a batch")
		if err != nil || reply.Batch == nil {
			t.Fatalf("got %+v, %v", reply, err)
		}
		if reply.Batch.ID != id {
			continue
		}
		for _, offset := range reply.Batch.Found {
			found = append(found, next.AddWrap(u512.From64(uint64(offset))))
		}
		left := s.End.SubWrap(next).Sat64()
		if reply.Batch.Count > left {
			return found
		}
		next = next.AddWrap(u512.From64(reply.Batch.Count))
	}
}

// foundByCPU returns the same as the CPU has it: on all its threads.
func foundByCPU(t *testing.T, s wire.Search, size uint64) (found []u512.Uint) {
	t.Helper()
	engines, err := simd.Engines("")
	if err != nil {
		t.Fatal(err)
	}
	// ⌊(2^512−1) / 2^12⌋ has the limit for its top word, and ones behind.
	job, err := engines[0].Prepare(s.Header, u512.From64(1).Lsh(12))
	if err != nil {
		t.Fatal(err)
	}
	parts := uint64(4 * runtime.NumCPU())
	each := make([][]u512.Uint, parts)
	var searching sync.WaitGroup
	busy := make(chan struct{}, runtime.NumCPU())
	for i := range parts {
		part := engine.Range{
			Start: s.Start.AddWrap(u512.From64(size * i / parts)),
			End:   s.Start.AddWrap(u512.From64(size*(i+1)/parts - 1)),
		}
		searching.Go(func() {
			busy <- struct{}{}
			defer func() { <-busy }()
			for {
				outcome := job.Search(part, new(engine.Progress))
				if outcome.Status != engine.Found {
					return
				}
				each[i] = append(each[i], outcome.Nonce)
				if outcome.Nonce == part.End {
					return
				}
				part.Start = outcome.Nonce.AddWrap(u512.From64(1))
			}
		})
	}
	searching.Wait()
	return slices.Concat(each...)
}

// TestDeviceRate reports the device's rate, how long its launches take, and what the process
// takes of a CPU.
func TestDeviceRate(t *testing.T) {
	d := realDevice(t)
	job, err := NewEngine(d).Prepare([32]byte{1}, u512.Max())
	if err != nil {
		t.Fatal(err)
	}
	var p engine.Progress
	over := make(chan engine.Outcome)
	go func() { over <- job.Search(everything, &p) }()
	pid := d.Status().PID
	pause(t, over, *deviceTime/10) // until it has found its pace
	nonces, cpu, began := p.Evaluated(), cpuTime(pid), time.Now()
	var launches []time.Duration
	for time.Since(began) < *deviceTime {
		pause(t, over, 100*time.Millisecond)
		launches = append(launches, d.Status().Launch)
	}
	took := time.Since(began)
	nonces, cpu = p.Evaluated()-nonces, cpuTime(pid)-cpu
	queued := d.Status().Queued
	p.Stop()
	stopped := time.Now()
	<-over
	slices.Sort(launches)
	t.Logf("REPORT rate %.2f MH/s", float64(nonces)/took.Seconds()/1e6)
	t.Logf("REPORT launches %v to %v, half of them below %v; %d queued", launches[0], launches[len(launches)-1], launches[len(launches)/2], queued)
	t.Logf("REPORT the process takes %.2f %% of a CPU", 100*cpu.Seconds()/took.Seconds())
	t.Logf("REPORT stopped after %v", time.Since(stopped))
}

// pause waits, unless the search ends.
func pause(t *testing.T, over <-chan engine.Outcome, d time.Duration) {
	t.Helper()
	select {
	case outcome := <-over:
		t.Fatalf("the search has ended: %+v", outcome)
	case <-time.After(d):
	}
}

// cpuTime returns how long a process has kept CPUs busy, on Linux.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// After the name, which is in brackets: state is the first, utime and stime the 12th
	// and 13th, in ticks of 10 ms.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// TestDeviceKilled kills the process of the device in the middle of a search, and reports
// how long it takes until the device is ready again.
func TestDeviceKilled(t *testing.T) {
	d := realDevice(t)
	process, err := os.FindProcess(d.Status().PID)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, d, Waiting)
	ready(t, d)
	t.Logf("REPORT ready %v after it was killed", time.Since(began).Round(time.Millisecond))
}
