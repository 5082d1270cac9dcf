package gpu

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Name is the engine's.
const Name = "gpu"

// Engine searches on a device. Searches take turns: one at a time has the device.
type Engine struct{ device *Device }

// NewEngine returns the engine of a device.
func NewEngine(d *Device) Engine { return Engine{d} }

// Name implements [engine.Engine].
func (Engine) Name() string { return Name }

// Backend implements [engine.Engine]: it is the device's back end.
func (e Engine) Backend() string { return e.device.Info.Backend }

// Lanes is how many nonces a device evaluates by the same instruction: 32, or twice as many on some.
func (Engine) Lanes() int { return 32 }

// Prepare implements [engine.Engine]. The threshold is the difficulty; 0 is an
// [engine.ThresholdError].
func (e Engine) Prepare(header [32]byte, difficulty u512.Uint) (engine.Job, error) {
	ref, err := poseidon2.NewReference(header, difficulty)
	if err != nil {
		return nil, &engine.ThresholdError{Err: err}
	}
	return job{ref, e.device}, nil
}

// period is the number of nonces that differ in their low 32 bits alone: a launch has no more.
const period = 1 << 32

type job struct {
	poseidon2.Reference
	device *Device
}

// lookInterval is the time between two looks at whether a search should stop.
const lookInterval = 5 * time.Millisecond

// Search implements [engine.Job]. It is [engine.Unavailable] if the device is not ready, or
// fails. What the device was at when it failed or was stopped is not counted.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	if r.Empty() {
		return engine.Outcome{Status: engine.Exhausted}
	}
	if !p.Advance(0) {
		return engine.Outcome{Status: engine.Stopped}
	}
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for had := false; !had; {
		select {
		case j.device.turn <- struct{}{}:
			had = true
		case <-look.C:
			if !p.Advance(0) {
				return engine.Outcome{Status: engine.Stopped}
			}
		}
	}
	defer func() { <-j.device.turn }()
	held := j.device.release()
	c, id := j.device.ready()
	if c == nil {
		return engine.Outcome{Status: engine.Unavailable}
	}
	s := &search{job: j, id: id, next: r.Start, end: r.End}
	if held != nil && held.client == c && held.progress == p && held.from == r.Start && held.end == r.End && held.Reference == j.Reference {
		if s = held.search; !s.running {
			s.id = id // or what came in the meantime would be taken for its
		}
	}
	outcome, err := s.run(c, p, look.C)
	if err == nil && outcome.Status == engine.Found {
		j.device.hold(&heldSearch{search: s, client: c, progress: p, from: outcome.Nonce.AddWrap(u512.From64(1))})
	}
	if err != nil {
		j.device.fail(c, err)
		return engine.Outcome{Status: engine.Unavailable}
	}
	return outcome
}

// search is a search that a process is at.
type search struct {
	job
	id        uint64
	next, end u512.Uint   // what is to be evaluated yet
	found     []u512.Uint // what a batch found, and nobody has looked through
	done      bool        // that nothing is to be evaluated
	running   bool        // that the process is at it
}

// run has a process search, or go on after a winner. An error is the process's, or the device's.
func (s *search) run(c *client, p *engine.Progress, look <-chan time.Time) (engine.Outcome, error) {
	if nonce, ok := s.winner(); ok {
		return engine.Outcome{Status: engine.Found, Nonce: nonce}, nil
	}
	if s.done {
		return engine.Outcome{Status: engine.Exhausted}, nil
	}
	if !s.running {
		if err := s.begin(c); err != nil {
			return engine.Outcome{}, err
		}
	}
	heard := time.Now().Add(-c.silent)
	defer func() { c.silent = time.Since(heard) }()
	for {
		select {
		case reply, ok := <-c.replies:
			if !ok {
				return engine.Outcome{}, c.cause()
			}
			heard = time.Now()
			batch := reply.Batch
			if batch == nil {
				return engine.Outcome{}, errors.New("the process answers what it was not asked")
			}
			if batch.ID != s.id {
				continue // of a search that was stopped
			}
			outcome, over, err := s.take(batch, p)
			if err == nil && over && outcome.Status == engine.Stopped {
				err = s.leave(c)
			}
			if err != nil || over {
				return outcome, err
			}
		case <-look:
			if !p.Advance(0) {
				return engine.Outcome{Status: engine.Stopped}, s.leave(c)
			}
			if silent := time.Since(heard); silent > s.device.config.Hang {
				return engine.Outcome{}, fmt.Errorf("the device hangs: it has been silent for %s", silent.Round(time.Millisecond))
			}
		}
	}
}

// begin has a process begin the search, or what is left of it.
func (s *search) begin(c *client) error {
	s.running = true
	request := wire.Search{ID: s.id, Header: s.Header, Start: s.next, End: s.end, Limit: s.Target[u512.Words-1]}
	if err := c.send(wire.Request{Search: &request}); err != nil {
		select {
		case <-c.exited: // which is why
			err = c.cause()
		case <-time.After(killTime):
		}
		return err
	}
	return nil
}

// take counts a batch and looks through what it found.
func (s *search) take(b *wire.Batch, p *engine.Progress) (outcome engine.Outcome, over bool, err error) {
	left := s.end.SubWrap(s.next).Sat64() // behind the next one
	if b.Count == 0 || b.Count > period || b.Count-1 > left || !slices.IsSorted(b.Found) || len(b.Found) > 0 && uint64(b.Found[len(b.Found)-1]) >= b.Count {
		return outcome, true, fmt.Errorf("the process tells of a batch that cannot be: of %d nonces, with %d left, found %d", b.Count, left, len(b.Found))
	}
	s.device.measured(b)
	goOn := p.Advance(b.Count)
	for _, offset := range b.Found {
		s.found = append(s.found, s.next.AddWrap(u512.From64(uint64(offset))))
	}
	s.done = b.Count-1 == left
	s.next = s.next.AddWrap(u512.From64(b.Count))
	if nonce, ok := s.winner(); ok {
		return engine.Outcome{Status: engine.Found, Nonce: nonce}, true, nil
	}
	if s.done {
		return engine.Outcome{Status: engine.Exhausted}, true, nil
	}
	if !goOn {
		return engine.Outcome{Status: engine.Stopped}, true, nil
	}
	return outcome, false, nil
}

// winner looks through what was found, up to the first winner.
func (s *search) winner() (u512.Uint, bool) {
	for len(s.found) > 0 {
		nonce := s.found[0]
		s.found = s.found[1:]
		hash, valid := s.Verify(nonce)
		// A nonce that is not even within the limit shows that the device is wrong. Whoever
		// asked for the search verifies what it finds, and learns of it by that.
		if valid || hash[u512.Words-1] > s.Target[u512.Words-1] {
			return nonce, true
		}
	}
	return u512.Uint{}, false
}

// leave has the process stop the search.
func (s *search) leave(c *client) error {
	s.running = false
	return c.send(wire.Request{Stop: &wire.Stop{}})
}

// holdTime is how long a process goes on with a search after a winner, for the next one to follow. It is
// longer than a winner takes to be verified and sent, and less than a launch.
const holdTime = 20 * time.Millisecond

// heldSearch is a search that has come to a winner, and may go on behind it. What its batch found
// besides is kept, and its process goes on, so that neither a batch nor what is in flight is
// evaluated again. Whoever has the device's turn has it.
type heldSearch struct {
	*search
	client   *client
	progress *engine.Progress // which has counted all up to the next batch
	from     u512.Uint        // behind the winner
	timer    *time.Timer
}

// hold keeps a search, and has its process stop if nobody goes on with it soon. It is to be
// called in the device's turn.
func (d *Device) hold(h *heldSearch) {
	d.held = h
	if h.done {
		return
	}
	h.timer = time.AfterFunc(holdTime, func() { d.drop(h) })
}

// drop has the process stop a search that is held, unless somebody has the device's turn.
func (d *Device) drop(h *heldSearch) {
	select {
	case d.turn <- struct{}{}:
	default:
		return
	}
	defer func() { <-d.turn }()
	if d.held != h || !h.running {
		return
	}
	if err := h.leave(h.client); err != nil {
		d.fail(h.client, err)
	}
}

// release returns the search that is held, if one is. It is to be called in the device's turn.
func (d *Device) release() *heldSearch {
	h := d.held
	d.held = nil
	if h != nil && h.timer != nil {
		h.timer.Stop()
	}
	return h
}
