package main

import (
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// niceness is an engine that tells how nice the thread is that searches.
type niceness struct {
	scripted
	told chan int
}

func (e niceness) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }

func (e niceness) Search(engine.Range, *engine.Progress) engine.Outcome {
	e.told <- ownNiceness()
	return engine.Outcome{Status: engine.Exhausted}
}

// ownNiceness returns how nice the calling thread is, or 0 if that cannot be known.
func ownNiceness() int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - raw // as the system call has it
}

// TestWorkersGiveWay compares the niceness of the thread that a worker of serve
// searches on with that of a thread that does not.
func TestWorkersGiveWay(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := niceness{told: make(chan int, 1)}
	m := service{engine: e, workers: 1, log: slog.New(slog.DiscardHandler)}.newMiner()
	during(t, m.Run)
	if _, err := m.Submit(mining.Request{ID: "x", Range: engine.Range{Start: u512.From64(1), End: u512.From64(1)}}); err != nil {
		t.Fatal(err)
	}
	own, workers := ownNiceness(), <-e.told
	if workers <= own && own < 19 { // the nicest of all
		t.Errorf("a worker's niceness is %d, a request's %d", workers, own)
	}
}
