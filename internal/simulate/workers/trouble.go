package workers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// Workers are in trouble for so long: less, and more, than a hub waits for them.
const (
	shortTrouble = time.Second
	longTrouble  = 9 * time.Second
	// putOutTime is for how long it is waited that a liar is put out.
	putOutTime = 10 * time.Second
)

// trouble is something that goes wrong with a worker.
type trouble func(ctx context.Context, f *Fleet, w *worker)

// troubles are all of them.
var troubles = []trouble{
	func(_ context.Context, f *Fleet, w *worker) { // it is killed: its connection ends without a word
		f.count(func(t *Tally) { t.Kills++ })
		w.lose()
		f.kill(w)
	},
	func(ctx context.Context, f *Fleet, w *worker) { // it is suspended
		f.count(func(t *Tally) { t.Suspensions++ })
		w.gate.shut()
		defer w.gate.open()
		rest(ctx, shortTrouble, longTrouble)
	},
	func(ctx context.Context, f *Fleet, w *worker) { // it is cut off
		f.count(func(t *Tally) { t.Cuts++ })
		w.lose()
		defer w.mend()
		rest(ctx, shortTrouble, longTrouble)
	},
	func(ctx context.Context, f *Fleet, w *worker) { // another comes late, and leaves again
		var number int
		f.count(func(t *Tally) { t.Visits++; number = t.Visits })
		guest, err := f.start(ctx, fmt.Sprintf("guest%d", number), w.rate/f.slowest())
		if err != nil {
			f.Config.Log.Error("a worker does not start", "reason", err)
			return
		}
		rest(ctx, shortTrouble, longTrouble)
		guest.end()
		if err := guest.await(); err != nil && ctx.Err() == nil {
			f.Config.Log.Error("a worker ended by itself", "reason", err)
		}
	},
	func(ctx context.Context, f *Fleet, w *worker) { // it reports a wrong nonce, and is put out
		f.count(func(t *Tally) { t.Lies++; w.killed = true }) // as it ends when it is put out
		w.lies.Store(true)
		ctx, cancel := context.WithTimeout(ctx, putOutTime)
		defer cancel()
		for w.link.Status().State != upstream.Refused && ctx.Err() == nil {
			rest(ctx, time.Second/10, time.Second/5)
		}
		f.kill(w)
	},
}

// InjectFaults has something go wrong with one worker or another, at intervals of the given time
// on average, until ctx is done.
func (f *Fleet) InjectFaults(ctx context.Context, every time.Duration) {
	var going sync.WaitGroup
	defer going.Wait()
	for i := 0; ; i++ {
		rest(ctx, every/2, every*3/2)
		if ctx.Err() != nil {
			return
		}
		w := f.pick()
		if w == nil {
			continue
		}
		going.Go(func() {
			troubles[i%len(troubles)](ctx, f, w)
			f.mu.Lock()
			w.busy = false
			f.mu.Unlock()
		})
	}
}

// pick returns a worker that is well, for something to be done to it, or nil. One of them is left
// alone, so that the fleet has somebody at any time.
func (f *Fleet) pick() *worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	var well []*worker
	for _, w := range f.present {
		if w != nil && !w.busy && w.headers > 0 {
			well = append(well, w)
		}
	}
	if len(well) < 2 {
		return nil
	}
	w := well[rand.N(len(well))]
	w.busy, w.troubled = true, true
	return w
}

// kill ends a worker. Another takes its place.
func (f *Fleet) kill(w *worker) {
	f.mu.Lock()
	w.killed = true
	f.mu.Unlock()
	w.end()
}

// count changes the tally.
func (f *Fleet) count(change func(*Tally)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.tally)
}

// rest waits for a random time, or until ctx is done.
func rest(ctx context.Context, least, most time.Duration) {
	timer := time.NewTimer(least + rand.N(most-least))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
