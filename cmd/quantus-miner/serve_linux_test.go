package main

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// thread is how a thread is scheduled.
type thread struct{ nice, cpus int }

// observed is an engine that tells how the thread is scheduled that searches.
type observed struct {
	scripted
	told chan thread
}

func (e observed) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }

func (e observed) Search(engine.Range, *engine.Progress) engine.Outcome {
	e.told <- ownThread()
	return engine.Outcome{Status: engine.Exhausted}
}

// ownThread returns how the calling thread is scheduled, or what is known of it.
func ownThread() (own thread) {
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		own.nice = 20 - raw // as the system call has it
	}
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err == nil {
		own.cpus = cpus.Count()
	}
	return own
}

// TestWorkersGiveWay compares the thread that a worker of serve searches on with one
// that does not: it is nicer by default and as nice if that is wanted, and keeps to
// the CPUs that it was given.
func TestWorkersGiveWay(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	first := 0
	for !allowed.IsSet(first) {
		first++
	}
	own := ownThread()
	for _, c := range []struct {
		args []string
		want thread
	}{
		{nil, thread{min(own.nice+10, 19), own.cpus}},
		{[]string{"--priority", "normal"}, own},
		{[]string{"--priority", "normal", "--affinity", fmt.Sprint(first)}, thread{own.nice, 1}},
	} {
		var flags struct{ schedulingFlags }
		parser, err := kong.New(&flags)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		e := observed{told: make(chan thread, 1)}
		m := service{proof: pow.SHA3RSA, engine: e, workers: 1, scheduling: flags.schedulingFlags, log: slog.New(slog.DiscardHandler)}.newMiner()
		during(t, m.Run)
		if _, err := m.Submit(mining.Request{ID: "x", Range: engine.Range{Start: u512.From64(1), End: u512.From64(1)}}); err != nil {
			t.Fatal(err)
		}
		if got := <-e.told; got != c.want {
			t.Errorf("%v: %+v of a worker's thread, want %+v", c.args, got, c.want)
		}
	}
}
