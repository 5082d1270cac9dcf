package mining

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Limits bound what those who submit jobs can make a miner hold. A field that is
// zero sets no limit.
type Limits struct {
	// Running is how many jobs may run at the same time. They share the workers,
	// so it bounds how slow each of them may get.
	Running int
	// Known is how many jobs may be known: those that run, and those that have
	// been over for less than [Retention], which is promised to all of them.
	Known int
	// Over is how many jobs that are over may be known. If there are more, those that
	// have been over for longest are forgotten before their time: it is for owners who
	// learn of the end as it comes, and keep nothing of what Retention promises.
	Over int
	// AbandonAfter is how long a job runs on that nobody asks about: a node that
	// restarts never comes back for its job.
	AbandonAfter time.Duration
}

// BusyError says that a job was refused because of a limit on the number of jobs.
type BusyError struct {
	// Reason says which limit it is, for the owner of the job.
	Reason string
	// RetryAfter is when there may be room again.
	RetryAfter time.Duration
}

// Error implements the error interface.
func (e *BusyError) Error() string { return e.Reason }

// room returns a BusyError if there is no room for another job; mu is held.
func (m *Miner) room() error {
	if n := m.Limits.Running; n > 0 && len(m.running) >= n {
		return &BusyError{
			fmt.Sprintf("too many jobs are running, %d: cancel one, or wait for one to end", n),
			time.Second, // nobody knows when a search ends
		}
	}
	if n := m.Limits.Known; n > 0 && len(m.jobs) >= n {
		wait := time.Second
		if len(m.over) > 0 {
			wait = Retention - time.Since(m.over[0].ended)
		}
		return &BusyError{
			fmt.Sprintf("too many jobs are known, %d: wait for the oldest result to be forgotten, %s after its job's end", n, Retention),
			wait,
		}
	}
	return nil
}

// watchAbandoned abandons the jobs that nobody asks about any more, until ctx is done.
func (m *Miner) watchAbandoned(ctx context.Context) {
	if m.Limits.AbandonAfter == 0 {
		<-ctx.Done()
		return
	}
	due := time.Now().Add(m.Limits.AbandonAfter)
	timer := time.NewTimer(m.Limits.AbandonAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			next := m.abandon(due)
			due = time.Now().Add(next)
			timer.Reset(next)
		}
	}
}

// stopped is how late a look at the running jobs is at least if the miner was
// stopped, or its machine was. A machine that is merely busy is sooner there.
const stopped = time.Second

// abandon ends the running jobs that nobody has asked about for long enough, and
// returns how long it is at least until there may be another. It was due at some
// moment; if that is long ago nobody could ask in between, and all jobs are as
// good as just asked about.
func (m *Miner) abandon(due time.Time) (next time.Duration) {
	m.mu.Lock()
	now := time.Now()
	wasStopped := now.Sub(due) >= stopped
	next = m.Limits.AbandonAfter // for jobs that are still to come
	var abandoned []*Job
	for _, job := range slices.Clone(m.running) {
		if wasStopped {
			job.asked = now
		}
		left := m.Limits.AbandonAfter - now.Sub(job.asked)
		if left > 0 {
			next = min(next, left)
		} else if m.end(job, Result{Status: Cancelled, Err: ErrAbandoned}) {
			abandoned = append(abandoned, job)
		}
	}
	m.mu.Unlock()
	for _, job := range abandoned {
		m.logEnd(job)
	}
	return next
}
