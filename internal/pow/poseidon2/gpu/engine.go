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
	c, id := j.device.ready()
	if c == nil {
		return engine.Outcome{Status: engine.Unavailable}
	}
	s := search{job: j, id: id, next: r.Start, end: r.End}
	outcome, err := s.run(c, p, look.C)
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
	next, end u512.Uint // what is to be evaluated yet
}

// run has a process search. An error is the process's, or the device's.
func (s *search) run(c *client, p *engine.Progress, look <-chan time.Time) (engine.Outcome, error) {
	request := wire.Search{ID: s.id, Header: s.Header, Start: s.next, End: s.end, Limit: s.Target[u512.Words-1]}
	if err := c.send(wire.Request{Search: &request}); err != nil {
		select {
		case <-c.exited: // which is why
			err = c.cause()
		case <-time.After(killTime):
		}
		return engine.Outcome{}, err
	}
	heard := time.Now()
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
			if err != nil || over {
				return outcome, errors.Join(err, s.leave(c, outcome))
			}
		case <-look:
			if !p.Advance(0) {
				outcome := engine.Outcome{Status: engine.Stopped}
				return outcome, s.leave(c, outcome)
			}
			if silent := time.Since(heard); silent > s.device.config.Hang {
				return engine.Outcome{}, fmt.Errorf("the device hangs: it has been silent for %s", silent.Round(time.Millisecond))
			}
		}
	}
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
		nonce := s.next.AddWrap(u512.From64(uint64(offset)))
		hash, valid := s.Verify(nonce)
		// A nonce that is not even within the limit shows that the device is wrong. Whoever
		// asked for the search verifies what it finds, and learns of it by that.
		if valid || hash[u512.Words-1] > s.Target[u512.Words-1] {
			return engine.Outcome{Status: engine.Found, Nonce: nonce}, true, nil
		}
	}
	if b.Count-1 == left {
		return engine.Outcome{Status: engine.Exhausted}, true, nil
	}
	s.next = s.next.AddWrap(u512.From64(b.Count))
	if !goOn {
		return engine.Outcome{Status: engine.Stopped}, true, nil
	}
	return outcome, false, nil
}

// leave has the process stop the search, unless that is at its end.
func (s *search) leave(c *client, outcome engine.Outcome) error {
	if outcome.Status == engine.Exhausted {
		return nil
	}
	return c.send(wire.Request{Stop: &wire.Stop{}})
}
