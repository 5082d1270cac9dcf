package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sieve is an engine to which every nonce is valid that the threshold divides; none is if it
// is 0.
type sieve struct {
	every   uint64
	covered *covered // of the job
	all     *sync.Map
}

// covered is which nonces of a job were searched.
type covered struct {
	mu     sync.Mutex
	nonces []bool // by number
}

func (sieve) Name() string    { return "sieve" }
func (sieve) Backend() string { return "go" }

func (s sieve) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, _ := s.all.LoadOrStore(header, new(covered))
	return sieve{every: threshold.Sat64(), covered: job.(*covered)}, nil
}

func (s sieve) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	s.covered.mu.Lock()
	defer s.covered.mu.Unlock()
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		n := nonce.Sat64()
		s.covered.nonces = append(s.covered.nonces, make([]bool, max(0, int(n)+1-len(s.covered.nonces)))...)
		s.covered.nonces[n] = true
		goOn := p.Advance(1)
		if _, valid := s.Verify(nonce); valid {
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		}
		if nonce == r.End {
			return engine.Outcome{Status: engine.Exhausted}
		}
		if !goOn {
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

func (s sieve) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return u512.Uint{}, s.every > 0 && nonce.Sat64()%s.every == 0
}

// rig is a hub's miner and the workers of its fleet.
type rig struct {
	miner *mining.Miner
	hub   *hub.Hub
	fleet *Fleet
	all   *sync.Map // covered, by header
}

// start starts a hub with a fleet in a bubble, which end with the test.
func start(t *testing.T, workers int, rate float64) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, NoSystemAccount: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{miner: mining.New(log), all: new(sync.Map)}
	if r.hub, err = hub.New(conn, r.miner, hub.Config{Fleet: "main", PoW: "sieve", Reference: sieve{all: r.all}, Log: log}); err != nil {
		t.Fatal(err)
	}
	subjects, err := wire.NewSubjects("main")
	if err != nil {
		t.Fatal(err)
	}
	r.fleet = &Fleet{
		Workers: workers, Rate: rate, Engine: sieve{all: r.all},
		Config: fleet.Config{Fleet: "main", Hub: "hub", PoW: "sieve", Log: log, Dial: func(id string, options ...nats.Option) (*nats.Conn, error) {
			return nats.Connect("nats://127.0.0.1:1", append(options, nats.CustomInboxPrefix(subjects.Inbox(id)))...)
		}},
		Dial: func(context.Context, string, string) (net.Conn, error) { return s.InProcessConn() },
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.miner.Run(ctx) })
	running.Go(func() {
		if err := r.hub.Run(ctx); err != nil {
			t.Errorf("the hub: %v", err)
		}
	})
	workersCtx, endWorkers := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() {
		if err := r.fleet.Run(workersCtx); err != nil {
			t.Errorf("the workers: %v", err)
		}
	})
	t.Cleanup(func() {
		endWorkers()
		working.Wait()
		<-time.After(time.Minute) // connections that were being made anew give up
		end()
		running.Wait()
		conn.Close()
		s.Shutdown()
		s.WaitForShutdown()
	})
	return r
}

// exhaust has the fleet search a range without a winner: all of it, and to the nonce.
func (r *rig) exhaust(t *testing.T, name string, size uint64) {
	t.Helper()
	s := r.search(t, name, size, 0)
	if !errors.Is(s.Err, mining.ErrExhausted) || s.Evaluated != size {
		t.Errorf("%s: %+v", name, s)
	}
	of, _ := r.all.Load(header(name))
	job := of.(*covered)
	job.mu.Lock()
	defer job.mu.Unlock()
	missed := 0
	for n := range size {
		if int(n)+1 >= len(job.nonces) || !job.nonces[n+1] {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%s: %d nonces were not searched", name, missed)
	}
}

// header returns the header of a job.
func header(name string) [32]byte { return [32]byte([]byte(fmt.Sprintf("%32s", name))) }

// search has the fleet search a range, and returns how that ended.
func (r *rig) search(t *testing.T, name string, size, every uint64) mining.Snapshot {
	t.Helper()
	job, err := r.miner.Submit(mining.Request{
		ID: name, Header: header(name), Threshold: u512.From64(every),
		Range: engine.Range{Start: u512.From64(1), End: u512.From64(size)},
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-job.Done():
	case <-time.After(time.Hour):
		t.Fatalf("%s is not over after an hour", name)
	}
	return job.Snapshot()
}

// TestWorkers has workers without trouble: they work at the pace that they are to have, and begin
// all jobs together.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, rate, size = 30, 30_000, 600_000
		r := start(t, workers, rate)
		for i := range 10 {
			began := time.Now()
			r.exhaust(t, fmt.Sprint("job ", i), size)
			if took := time.Since(began).Seconds(); i > 0 && (took < 0.9*size/rate || took > 1.5*size/rate) {
				t.Errorf("job %d took %.1f s", i, took)
			}
		}
		if s := r.search(t, "won", size, size-1); s.Status != mining.Completed || s.Nonce != u512.From64(size-1) {
			t.Errorf("%+v", s)
		}
		tally := r.fleet.Tally()
		if tally.Jobs != 11 || tally.Spread.Count != 10*workers || tally.Spread.Max > 0.01 {
			t.Errorf("%+v", tally)
		}
	})
}

// TestTrouble has the workers be in any trouble: every range is searched to its end, and every
// count is exact.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A lie has the whole range be searched again, so a range takes less time than there is
		// between two of them.
		const workers, rate, size = 12, 50_000, 200_000
		r := start(t, workers, rate)
		ctx, cancel := context.WithCancel(context.Background())
		var going sync.WaitGroup
		going.Go(func() { r.fleet.InjectFaults(ctx, 2*time.Second) })
		for i := range 30 {
			if i%3 > 0 {
				r.exhaust(t, fmt.Sprint("job ", i), size)
			} else if s := r.search(t, fmt.Sprint("job ", i), size, size/2); s.Status != mining.Completed || s.Nonce.Sat64()%(size/2) != 0 {
				t.Errorf("job %d: %+v", i, s)
			}
		}
		cancel()
		going.Wait()
		tally := r.fleet.Tally()
		t.Logf("%+v", tally)
		if tally.Kills == 0 || tally.Suspensions == 0 || tally.Cuts == 0 || tally.Visits == 0 || tally.Lies == 0 {
			t.Errorf("something did not go wrong: %+v", tally)
		}
		if o := r.hub.Overview(); o.Winners.Wrong == 0 {
			t.Errorf("no liar was found out: %+v", o.Winners)
		}
	})
}
