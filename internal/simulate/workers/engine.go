package workers

import (
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// pause is about how long an engine rests after each piece of its range: thousands of engines
// that rest for less keep a CPU busy with waking up.
const pause = 100 * time.Millisecond

// paced is an engine that searches at a worker's rate.
type paced struct {
	engine.Engine
	worker *worker
}

// Prepare implements [engine.Engine].
func (e paced) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, err := e.Engine.Prepare(header, threshold)
	if err != nil {
		return nil, err
	}
	e.worker.reaches(header)
	return pacedJob{job, e.worker}, nil
}

// pacedJob is a job that is searched at a worker's rate.
type pacedJob struct {
	engine.Job
	worker *worker
}

// Search implements [engine.Job]. A worker that lies takes the first nonce for a winner, and is a
// liar no more once it has lied: it is put out for that.
func (j pacedJob) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	stopped := make(chan struct{}, 1)
	p.OnStop(func() {
		select {
		case stopped <- struct{}{}:
		default:
		}
	})
	defer p.OnStop(nil)
	size := max(1, uint64(j.worker.rate*pause.Seconds()))
	for due := time.Now(); ; {
		if !j.worker.gate.wait(stopped) {
			return engine.Outcome{Status: engine.Stopped}
		}
		piece, last := first(r, size)
		if j.worker.lies.Load() {
			p.Advance(1)
			return engine.Outcome{Status: engine.Found, Nonce: piece.Start}
		}
		var own engine.Progress
		outcome := j.Job.Search(piece, &own)
		n := own.Evaluated()
		// An engine that was late catches up, but not for what it was suspended.
		due = due.Add(time.Duration(float64(n) / j.worker.rate * float64(time.Second)))
		if late := time.Now().Add(-2 * pause); due.Before(late) {
			due = late
		}
		goOn := p.Advance(n)
		switch {
		case outcome.Status == engine.Found || last:
			return outcome
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-stopped:
			timer.Stop()
			return engine.Outcome{Status: engine.Stopped}
		}
		r.Start = piece.End.AddWrap(u512.From64(1))
	}
}

// Verify implements [engine.Job]. A liar calls everything valid.
func (j pacedJob) Verify(nonce u512.Uint) (distance u512.Uint, ok bool) {
	distance, ok = j.Job.Verify(nonce)
	return distance, ok || j.worker.lies.Load()
}

// first returns up to n nonces from the start of a range, of which there are some, and whether
// they are all that it has.
func first(r engine.Range, n uint64) (piece engine.Range, last bool) {
	if r.End.SubWrap(r.Start).Cmp(u512.From64(n)) < 0 {
		return r, true
	}
	return engine.Range{Start: r.Start, End: r.Start.AddWrap(u512.From64(n - 1))}, false
}
