package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

const (
	// inFlight is how many leases a machine holds: while it searches one the other waits, so a
	// round trip is never waited for.
	inFlight = 2
	// leaseTime is how long a machine is to take for a lease.
	leaseTime = 3 * time.Second
	// secondAfter is after which time a machine has the second lease of a new job.
	secondAfter = 200 * time.Millisecond
	// firstLease is how many nonces the first lease of a machine has of which nothing is known.
	firstLease = 1 << 10
	// resendAfter is after which time a lease of which a machine does not tell is sent once more.
	resendAfter = 3 * wire.ReportInterval / 2
	// lateTime is for how long a machine's last count of a job that is over is waited for.
	lateTime = 3 * wire.ReportInterval
)

// job is a job of which machines have leases.
type job struct {
	*mining.Job
	number uint64
	// reference returns the job as the reference prepares it, to verify winners.
	reference func() (engine.Job, error)
}

// jobs are the jobs of which machines have leases.
type jobs struct {
	reference engine.Engine

	mu     sync.Mutex
	latest uint64 // the number of the latest
	known  map[*mining.Job]*job
}

// of returns what is known of a job, of which there are to be leases.
func (all *jobs) of(of *mining.Job) *job {
	all.mu.Lock()
	defer all.mu.Unlock()
	if j := all.known[of]; j != nil {
		return j
	}
	all.latest++
	j := &job{Job: of, number: all.latest}
	j.reference = sync.OnceValues(func() (engine.Job, error) { return all.reference.Prepare(of.Header(), of.Threshold()) })
	all.known[of] = j
	return j
}

// alive returns the numbers of the jobs that are not over, ascending, and the latest number of all.
// Those that are over it forgets.
func (all *jobs) alive() (numbers []uint64, upto uint64) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for of, j := range all.known {
		if over(of) {
			delete(all.known, of)
		} else {
			numbers = append(numbers, j.number)
		}
	}
	slices.Sort(numbers)
	return numbers, all.latest
}

// find returns a job that a function accepts, or nil.
func (all *jobs) find(is func(*job) bool) *job {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, j := range all.known {
		if is(j) {
			return j
		}
	}
	return nil
}

// over reports whether a job is.
func over(j *mining.Job) bool {
	select {
	case <-j.Done():
		return true
	default:
		return false
	}
}

// lease is a stretch of a job that a machine is to search.
type lease struct {
	number uint64
	job    *job
	engine.Range
	size     uint64
	progress *engine.Progress

	stop  chan struct{} // it is to be taken back; has room for one
	ended chan struct{} // it ended; has room for one

	// What follows is guarded by machine.mu.

	sent  time.Time // for the last time
	done  uint64    // from the start, without a gap
	tried uint64    // those included that were evaluated behind a gap; the job was told of them
	end   wire.End
}

// late is a lease whose job was over before it ended.
type late struct {
	number, size, tried uint64 // as in lease
	over                time.Time
}

// signal wakes up who waits for a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Search implements [mining.Remote]: a lease goes to the machine, and what it tells of it is told
// the job.
func (m *machine) Search(of *mining.Job, r engine.Range, p *engine.Progress) (s engine.Status, done uint64) {
	l := &lease{
		job: m.hub.jobs.of(of), Range: r, size: r.End.SubWrap(r.Start).AddSat(u512.From64(1)).Sat64(),
		progress: p, stop: make(chan struct{}, 1), ended: make(chan struct{}, 1),
	}
	p.OnStop(func() { signal(l.stop) })
	defer p.OnStop(nil)
	if !p.Advance(0) {
		return engine.Stopped, 0
	}
	first, wait := m.turn(l.job.number, time.Now())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stop:
		if over(of) {
			signal(m.hub.changed)
		}
		return engine.Stopped, 0
	}
	m.issue(l, first)
	select {
	case <-l.stop:
		if over(of) {
			signal(m.hub.changed)
		}
	case <-l.ended:
	}
	return m.takeBack(l)
}

// turn reports whether this is the machine's first lease of a job, and how long it is to wait: the second
// one of a machine that has something to do waits until all machines have their first.
func (m *machine) turn(job uint64, now time.Time) (first bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job > m.latestJob {
		m.latestJob, m.begun = job, now
		return true, 0
	}
	// Of a machine of which nothing is known the first lease may take no time.
	if job < m.latestJob || m.lastEnd.IsZero() {
		return false, 0
	}
	return false, max(0, secondAfter-now.Sub(m.begun))
}

// LeaseSize implements [mining.Remote].
func (m *machine) LeaseSize() uint64 { return m.leaseSize.Load() }

// issue sends a lease to the machine.
func (m *machine) issue(l *lease, first bool) {
	now := time.Now()
	m.mu.Lock()
	l.number = m.hub.numbers.Add(1)
	if len(m.leases) == 0 {
		m.moved = now
	}
	m.leases = append(m.leases, l)
	m.send(l, now)
	first = first && m.joined.Before(l.job.Started())
	m.mu.Unlock()
	m.hub.counts.sent.Add(1)
	if first {
		m.hub.fanout.observe(now.Sub(l.job.Started()))
	}
}

// send tells the machine what it holds, and of one of these leases all that it needs, unless that is nil;
// m.mu is held, so that orders arrive in their order.
func (m *machine) send(l *lease, now time.Time) {
	orders := wire.Orders{Hub: m.hub.id}
	for _, out := range m.leases {
		orders.Out = append(orders.Out, out.number)
	}
	if l != nil {
		l.sent = now
		orders.Lease = &wire.Lease{
			Number: l.number, Job: l.job.number, Name: wire.Tidy(l.job.ID(), wire.MaxText), PoW: m.hub.config.PoW,
			Header: l.job.Header(), Threshold: wire.Threshold(l.job.Threshold()), Start: wire.Nonce(l.Start), End: wire.Nonce(l.End), GoOn: l.job.GoesOn(),
		}
	}
	m.hub.publish(m.hub.subjects.Orders(m.id), orders)
}

// takeBack takes a lease back that has ended, or has to. It returns what it came to.
func (m *machine) takeBack(l *lease) (s engine.Status, done uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.hub.counts
	over := over(l.job.Job)
	switch {
	case l.end == wire.Exhausted:
		c.exhausted.Add(1)
		return engine.Exhausted, l.size
	case l.end == wire.Failed:
		c.failed.Add(1)
		return engine.Stopped, l.done // unasked
	case over && l.won():
		c.won.Add(1)
	case over:
		c.over.Add(1)
	default:
		c.takenBack.Add(1)
	}
	m.remove(l)
	switch {
	case l.end == wire.Dropped:
		return engine.Unavailable, l.done
	case !over:
		if m.state != Gone {
			m.send(nil, time.Now())
		}
	case l.end == "":
		// The machine learns of it with the next lease, or the beacon. What it has evaluated and not
		// told yet counts when it does.
		if len(m.late) == wire.MaxLeases {
			m.late = m.late[1:]
		}
		m.late = append(m.late, late{l.number, l.size, l.tried, time.Now()})
	}
	return engine.Stopped, l.done
}

// won reports whether its job, which is over, ended with a winner of the lease.
func (l *lease) won() bool {
	if l.job.GoesOn() {
		return false
	}
	s := l.job.Snapshot()
	return s.Status == mining.Completed && l.Start.Cmp(s.Nonce) <= 0 && s.Nonce.Cmp(l.End) <= 0
}

// remove forgets a lease; m.mu is held.
func (m *machine) remove(l *lease) {
	m.leases = slices.DeleteFunc(m.leases, func(other *lease) bool { return other == l })
}

// told is what follows from what the machine tells of its leases; m.mu is held. It returns the
// nonces that came late.
func (m *machine) told(leases []wire.Progress, now time.Time) (tooLate uint64) {
	for _, p := range leases {
		if i := slices.IndexFunc(m.leases, func(l *lease) bool { return l.number == p.Number }); i >= 0 {
			tooLate += m.advance(m.leases[i], p, now)
		} else if i := slices.IndexFunc(m.late, func(l late) bool { return l.number == p.Number }); i >= 0 && p.End != "" {
			l := m.late[i]
			m.late = slices.Delete(m.late, i, i+1)
			tried := min(max(p.Done, p.Tried), l.size)
			tooLate += tried - min(tried, l.tried)
		}
	}
	m.late = slices.DeleteFunc(m.late, func(l late) bool { return now.Sub(l.over) > lateTime })
	m.hashes += tooLate
	return tooLate
}

// resend sends the leases once more of which the machine should have told, and has not; m.mu is held.
func (m *machine) resend(told []wire.Progress, now time.Time) {
	for _, l := range m.leases {
		listed := slices.ContainsFunc(told, func(p wire.Progress) bool { return p.Number == l.number })
		if !listed && now.Sub(l.sent) > resendAfter {
			m.send(l, now)
		}
	}
}

// advance is what follows from what the machine tells of a lease; m.mu is held. It returns the nonces
// that came late.
func (m *machine) advance(l *lease, p wire.Progress, now time.Time) (tooLate uint64) {
	if l.end != "" {
		return 0
	}
	done := min(p.Done, l.size)
	if p.End == wire.Exhausted {
		done = l.size
	}
	if done > l.done {
		l.done, m.moved = done, now
	}
	tried := min(max(p.Tried, done, l.tried), l.size)
	more := tried - l.tried
	if over(l.job.Job) {
		tooLate = more
	} else {
		m.hashes += more
		l.progress.Advance(more)
	}
	l.tried = tried
	l.end = p.End
	switch p.End {
	case "", wire.Won: // which ends when its job does
		return tooLate
	case wire.Exhausted:
		began := l.sent
		if m.lastEnd.After(began) {
			began = m.lastEnd
		}
		m.lastEnd = now
		m.leaseSize.Store(nextLease(m.leaseSize.Load(), l.size, now.Sub(began)))
	case wire.Failed:
		m.hub.config.Log.Warn("a machine cannot search a lease", "machine", m.name, "job", l.job.ID(), "reason", p.Error)
	}
	m.remove(l)
	signal(l.ended)
	return tooLate
}

// nextLease returns how many nonces the leases of a machine are to have that has taken so long for one
// of a size. It changes by a factor of 2 at most, and is not reduced by one that was smaller.
func nextLease(present, size uint64, took time.Duration) uint64 {
	if size < present {
		return present
	}
	want := float64(size) * float64(leaseTime) / float64(max(took, time.Microsecond))
	return uint64(min(max(want, float64(present)/2, 1), 2*float64(present), wire.MaxLeaseSize))
}
