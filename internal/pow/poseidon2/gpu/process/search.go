package process

import (
	"fmt"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// searcher searches a range by launches, of which as many are queued as the device has
// slots, so that it never waits for us. A launch is of nonces that differ in their low
// 32 bits alone.
type searcher struct {
	device driver.Device
	// share is the share of its time that the device may work for.
	share float64
	sizer sizer
	reply func(wire.Reply) error

	search   wire.Search // the present one
	searches bool        // that there is one with nonces left to launch
	next     u512.Uint   // its next nonce
	job      driver.Job  // of the nonces that were launched last
	period   u512.Uint   // the first nonce of its 2^32
	hasJob   bool

	queue []flight // what is in flight, oldest first
	free  []int    // slots
	again *again   // nil unless a launch is searched again, in pieces
	// ended is when the launch before was seen to be done, if that is when it was done.
	ended time.Time
}

// waits is how long a wait takes at least for a launch that was not done before. It may have
// been, when this process got no CPU, or as the driver evaluates when it is to queue.
const waits = 100 * time.Microsecond

// flight is a launch that was started.
type flight struct {
	driver.Launch
	slot    int
	search  uint64 // its ID
	started time.Time
}

// again is what is left of a launch that found more than there was room for: which of them
// are the lowest, nobody knows.
type again struct {
	flight        // the rest of it
	size   uint32 // of a piece
}

func newSearcher(device driver.Device, launch time.Duration, share float64, reply func(wire.Reply) error) *searcher {
	s := &searcher{device: device, share: share, sizer: newSizer(launch), reply: reply}
	for slot := range driver.Slots {
		s.free = append(s.free, slot)
	}
	if share < 1 { // there must be a pause behind each launch
		s.free = s.free[:1]
	}
	return s
}

// idle reports whether there is nothing to do.
func (s *searcher) idle() bool { return !s.searches && len(s.queue) == 0 && s.again == nil }

// begin goes on with another search.
func (s *searcher) begin(search wire.Search) {
	s.search, s.next = search, search.Start
	s.searches = search.Start.Cmp(search.End) <= 0
	s.hasJob = false
	s.dropAgain()
}

// stop ends the search. What is in flight is of no interest any more.
func (s *searcher) stop() {
	s.search.ID, s.searches = 0, false
	s.dropAgain()
}

// dropAgain forgets what was to be searched again.
func (s *searcher) dropAgain() {
	if s.again != nil {
		s.free = append(s.free, s.again.slot)
		s.again = nil
	}
}

// step starts what there is room for, and waits for the oldest launch.
func (s *searcher) step() error {
	for s.searches && len(s.free) > 0 {
		if err := s.start(); err != nil {
			return err
		}
	}
	if s.again != nil {
		return s.piece()
	}
	if len(s.queue) == 0 {
		return nil
	}
	return s.finish()
}

// start starts the next launch of the search.
func (s *searcher) start() error {
	left := s.search.End.SubWrap(s.next).Sat64() // behind this one
	first := uint32(s.next[0])
	n := min(left, uint64(s.sizer.size)-1, 1<<32-1-uint64(first)) + 1
	l := driver.Launch{Job: s.jobOf(s.next), First: first, Count: uint32(n), Limit: s.search.Limit}
	slot := s.free[0]
	started := time.Now() // some drivers do all the work here
	if err := s.device.Start(slot, l); err != nil {
		return fmt.Errorf("starting a launch of %d nonces: %w", n, err)
	}
	s.free = s.free[1:]
	s.queue = append(s.queue, flight{l, slot, s.search.ID, started})
	if left < n {
		s.searches = false
		return nil
	}
	s.next = s.next.AddWrap(u512.From64(n))
	return nil
}

// jobOf returns what the nonces have in common that differ from one in their low 32
// bits alone.
func (s *searcher) jobOf(nonce u512.Uint) driver.Job {
	period := nonce
	period[0] &^= 1<<32 - 1
	if !s.hasJob || period != s.period {
		s.job = driver.Job{Midstate: poseidon2.NewMidstate(s.search.Header, nonce), Low: poseidon2.Low(period)}
		s.period, s.hasJob = period, true
	}
	return s.job
}

// finish waits for the oldest launch and tells of it.
func (s *searcher) finish() error {
	f := s.queue[0]
	found, nonces, took, err := s.wait(f)
	if err != nil {
		return err
	}
	s.queue = s.queue[1:]
	if f.Count == s.sizer.size {
		s.sizer.took(took)
	}
	if f.search == s.search.ID && found > wire.MaxFound {
		// Pieces of this size should find half as many as there is room for.
		s.again = &again{f, max(wire.MaxFound, uint32(uint64(f.Count)*wire.MaxFound/2/uint64(found)))}
		return nil
	}
	s.free = append(s.free, f.slot)
	if f.search == s.search.ID {
		if err := s.report(f, nonces, took); err != nil {
			return err
		}
	}
	if s.share < 1 {
		time.Sleep(time.Duration(float64(took) * (1/s.share - 1)))
	}
	return nil
}

// wait waits for a launch. The time that it took is that since the one before it was done, if
// that is known, or since it was started.
func (s *searcher) wait(f flight) (found uint32, nonces []uint32, took time.Duration, err error) {
	began := f.started
	if s.ended.After(began) {
		began = s.ended
	}
	asked, about := time.Now(), time.Duration(0)
	if f.Count == s.sizer.size {
		about = max(0, s.sizer.last-asked.Sub(began))
	}
	found, nonces, err = s.device.Wait(f.slot, about)
	if err != nil {
		return 0, nil, 0, fmt.Errorf("a launch of %d nonces: %w", f.Count, err)
	}
	for _, nonce := range nonces {
		if nonce >= f.Count {
			return 0, nil, 0, fmt.Errorf("the device found nonce %d of a launch of %d", nonce, f.Count)
		}
	}
	now := time.Now()
	s.ended = time.Time{}
	if now.Sub(asked) >= waits {
		s.ended = now
	}
	return found, nonces, now.Sub(began), nil
}

// report sends what a launch found.
func (s *searcher) report(f flight, nonces []uint32, took time.Duration) error {
	found := slices.Sorted(slices.Values(nonces))
	return s.reply(wire.Reply{Batch: &wire.Batch{
		ID: f.search, Count: uint64(f.Count), Found: found, Micros: took.Microseconds(), Queued: len(s.queue),
	}})
}

// piece searches a piece of a launch again. One that finds too many is halved.
func (s *searcher) piece() error {
	f := s.again.flight
	f.Count, f.started = min(s.again.size, f.Count), time.Now()
	if err := s.device.Start(f.slot, f.Launch); err != nil {
		return fmt.Errorf("starting a launch of %d nonces: %w", f.Count, err)
	}
	found, nonces, took, err := s.wait(f)
	if err != nil {
		return err
	}
	if found > wire.MaxFound {
		if f.Count <= wire.MaxFound {
			return fmt.Errorf("the device found %d nonces in a launch of %d", found, f.Count)
		}
		s.again.size = max(wire.MaxFound, f.Count/2)
		return nil
	}
	if s.again.First, s.again.Count = s.again.First+f.Count, s.again.Count-f.Count; s.again.Count == 0 {
		s.dropAgain()
	}
	return s.report(f, nonces, took)
}
