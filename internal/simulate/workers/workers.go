package workers

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
)

// Fleet is workers that play a fleet's. Its fields are to be set before Run.
type Fleet struct {
	// Workers is how many there are.
	Workers int
	// Rate is how many nonces a second all of them search. Each has a share of its own: the fastest
	// has four times that of the slowest.
	Rate float64
	// Engine is what they search with, which is shared by all.
	Engine engine.Engine
	// Config is what their links have to know, but for the name.
	Config fleet.Config
	// Dial makes their connections, by TCP if it is nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	present []*worker              // those that run, by place
	first   map[[32]byte]time.Time // when the first of them began to search a header
	order   [][32]byte             // of first, from the oldest
	spread  []time.Duration
	tally   Tally
}

// Tally is what there was to count.
type Tally struct {
	// Kills, Suspensions, Cuts, Visits and Lies count what went wrong: workers that were
	// killed and started anew, suspended for a while, cut off, that came late and left again,
	// and that reported a wrong nonce.
	Kills       int `json:"kills"`
	Suspensions int `json:"suspensions"`
	Cuts        int `json:"cuts"`
	Visits      int `json:"visits"`
	Lies        int `json:"lies"`
	// Jobs is how many headers reached the workers, and Spread says how long after the first
	// of them the others began to search it, but for those that were in trouble.
	Jobs   int    `json:"jobs"`
	Spread Spread `json:"spread"`
	// Winners is what became of what they found.
	Winners Winners `json:"winners"`
}

// Winners counts winners by what the hub made of them.
type Winners struct {
	Taken uint64 `json:"taken"`
	Known uint64 `json:"known"`
	Stale uint64 `json:"stale"`
	Wrong uint64 `json:"wrong"`
}

// Spread is a distribution of times, in seconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
	Max   float64 `json:"max_seconds"`
}

const (
	// maxFirst is how many headers are remembered.
	maxFirst = 64
	// maxSpread is how many times are.
	maxSpread = 1 << 20
)

// worker is one of them.
type worker struct {
	fleet *Fleet
	name  string
	rate  float64 // in nonces a second
	link  *fleet.Link
	end   context.CancelFunc
	ended chan struct{}
	err   error // is set when it has ended

	gate gate
	lies atomic.Bool

	// What follows is guarded by fleet.mu.

	troubled bool        // something is wrong with it, or was since it last began a job
	busy     bool        // something is being done to it
	killed   bool        // it is to end
	recent   [4][32]byte // the headers that it began to search, by their number
	headers  int

	mu   sync.Mutex
	cut  bool
	line *conn
}

// Run has all of them work until ctx is done, and returns nil then. A worker that ends by itself
// ends all.
func (f *Fleet) Run(ctx context.Context) error {
	f.mu.Lock()
	f.first = make(map[[32]byte]time.Time)
	f.present = make([]*worker, f.Workers)
	f.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	for place := range f.Workers {
		g.Go(func() error {
			// From the slowest to the fastest by equal factors.
			share := math.Pow(4, float64(place)/float64(max(f.Workers-1, 1)))
			for ctx.Err() == nil {
				w, err := f.start(ctx, fmt.Sprintf("rig%d", place+1), share)
				if err != nil {
					return err
				}
				f.set(place, w)
				err = w.await()
				f.set(place, nil)
				if err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// set sets who works at a place.
func (f *Fleet) set(place int, w *worker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present[place] = w
}

// slowest returns the rate of the slowest. The shares are between 1 and 4, evenly by factors, which is
// 3/ln 4 on average.
func (f *Fleet) slowest() float64 { return f.Rate / float64(f.Workers) / (3 / math.Log(4)) }

// start starts a worker whose share of the rate is so many times that of the slowest.
func (f *Fleet) start(ctx context.Context, name string, share float64) (*worker, error) {
	w := &worker{fleet: f, name: name, rate: max(f.slowest()*share, 1), ended: make(chan struct{}), troubled: true}
	quiet := slog.New(slog.DiscardHandler)
	miner := mining.New(quiet, &mining.Crew{Engine: paced{f.Engine, w}, Workers: 1})
	miner.Limits.Over = 16
	config := f.Config
	config.Name = name
	dial := config.Dial
	config.Dial = func(id string, options ...nats.Option) (*nats.Conn, error) {
		return dial(id, append(options, nats.SetCustomDialer(w))...)
	}
	link, err := fleet.New(miner, config)
	if err != nil {
		return nil, err
	}
	w.link = link
	ctx, w.end = context.WithCancel(ctx)
	go func() {
		defer close(w.ended)
		var mines sync.WaitGroup
		mines.Go(func() { miner.Run(ctx) })
		w.err = link.Run(ctx)
		w.end()
		mines.Wait()
	}()
	return w, nil
}

// await waits until the worker has ended, and counts its winners. It returns what it ended with if it
// was not to end.
func (w *worker) await() error {
	<-w.ended
	s := w.link.Status()
	f := w.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Winners.Taken += s.Winners.Taken
	f.tally.Winners.Known += s.Winners.Known
	f.tally.Winners.Stale += s.Winners.Stale
	f.tally.Winners.Wrong += s.Winners.Wrong
	if w.err != nil && !w.killed {
		return fmt.Errorf("the worker %s: %w", w.name, w.err)
	}
	return nil
}

// reaches notes that the worker begins to search a header.
func (w *worker) reaches(header [32]byte) {
	now := time.Now()
	f := w.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	first, known := f.first[header]
	if !known {
		if len(f.order) == maxFirst {
			delete(f.first, f.order[0])
			f.order = f.order[1:]
		}
		f.first[header], first = now, now
		f.order = append(f.order, header)
		f.tally.Jobs++
	}
	if slices.Contains(w.recent[:], header) {
		return
	}
	w.recent[w.headers%len(w.recent)] = header
	w.headers++
	if w.troubled && !w.busy {
		w.troubled = false
	} else if !w.troubled && len(f.spread) < maxSpread {
		f.spread = append(f.spread, now.Sub(first))
	}
}

// Tally returns what there was to count so far.
func (f *Fleet) Tally() Tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tally
	all := slices.Sorted(slices.Values(f.spread))
	if n := len(all); n > 0 {
		t.Spread = Spread{n, all[n/2].Seconds(), all[n*99/100].Seconds(), all[n-1].Seconds()}
	}
	return t
}
