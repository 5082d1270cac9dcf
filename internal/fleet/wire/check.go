package wire

import (
	"errors"
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Check implements [Message]. A hello of another version is in order, whatever it says
// besides, so that it can be answered.
func (h Hello) Check() error {
	if h.Wire != Version {
		return nil
	}
	if h.Threads < 0 || h.Threads > MaxThreads {
		return fmt.Errorf("a hello of %d threads", h.Threads)
	}
	if len(h.Engines) > MaxEngines {
		return fmt.Errorf("a hello of %d engines, more than %d", len(h.Engines), MaxEngines)
	}
	texts := []string{h.Name, h.Version, h.PoW}
	for _, e := range h.Engines {
		texts = append(texts, e.Name, e.Backend, e.Device)
	}
	return checkTexts("a hello", texts...)
}

// Check implements [Message].
func (w Welcome) Check() error {
	if w.Wire != Version {
		return nil
	}
	if err := checkHub(w.Hub); err != nil {
		return err
	}
	if (w.Error == "") == (w.Name == "") {
		return errors.New("a welcome must have either a name or an error")
	}
	if Tidy(w.Error, MaxReason) != w.Error {
		return fmt.Errorf("a welcome with a reason that is not printable, or longer than %d bytes", MaxReason)
	}
	return checkTexts("a welcome", w.Name)
}

// Check implements [Message].
func (o Orders) Check() error {
	if err := checkHub(o.Hub); err != nil {
		return err
	}
	if len(o.Out) > MaxLeases {
		return fmt.Errorf("orders of %d leases, more than %d", len(o.Out), MaxLeases)
	}
	if o.Lease == nil {
		return nil
	}
	l := *o.Lease
	if l.Number == 0 || l.Job == 0 {
		return errors.New("a lease, or its job, without a number")
	}
	if size := l.Size(); size == 0 || size > MaxLeaseSize {
		return fmt.Errorf("a lease must have 1 to %d nonces", uint64(MaxLeaseSize))
	}
	return checkTexts("a lease", l.Name, l.PoW)
}

// Size returns the number of nonces of the lease: 0 for none, and 2^64−1 for more than that.
func (l Lease) Size() uint64 {
	start, end := u512.Uint(l.Start), u512.Uint(l.End)
	if start.Cmp(end) > 0 {
		return 0
	}
	return end.SubWrap(start).AddSat(u512.From64(1)).Sat64()
}

// Check implements [Message].
func (b Beacon) Check() error {
	if len(b.Jobs) > MaxJobs {
		return fmt.Errorf("a beacon of %d jobs, more than %d", len(b.Jobs), MaxJobs)
	}
	return checkHub(b.Hub)
}

// Check implements [Message].
func (r Report) Check() error {
	if err := checkHub(r.Hub); err != nil {
		return err
	}
	switch r.State {
	case Able, Unable, Leaving:
	default:
		return fmt.Errorf("a report of the state %.40q", string(r.State))
	}
	return checkLeases(r.Leases)
}

// checkLeases returns an error for too much about leases, or what makes no sense.
func checkLeases(leases []Progress) error {
	if len(leases) > MaxLeases {
		return fmt.Errorf("a report of %d leases, more than %d", len(leases), MaxLeases)
	}
	for _, l := range leases {
		switch l.End {
		case "", Exhausted, Won, Failed, Dropped:
		default:
			return fmt.Errorf("a lease that ended as %.40q", string(l.End))
		}
		if most := max(l.Done, l.Tried); most > MaxLeaseSize {
			return fmt.Errorf("a lease of which %d nonces are done", most)
		}
		if err := checkTexts("a report", l.Error); err != nil {
			return err
		}
	}
	return nil
}

// Check implements [Message].
func (f Found) Check() error {
	if err := checkHub(f.Hub); err != nil {
		return err
	}
	return checkLeases(f.Leases)
}

// Check implements [Message].
func (v Verdict) Check() error {
	switch v.Result {
	case Taken, Known, Stale, Wrong:
		return checkHub(v.Hub)
	default:
		return fmt.Errorf("a verdict of %.40q", string(v.Result))
	}
}

// Check implements [Message].
func (r Rival) Check() error {
	if err := checkHub(r.Hub); err != nil {
		return err
	}
	return checkTexts("a hub", r.Address)
}

// checkHub returns an error for what is no hub's id.
func checkHub(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("a hub's id must be 32 lower-case hex digits, not %.40q", id)
	}
	return nil
}

// checkTexts returns an error for texts that are too long, or hold what [Tidy] would remove.
func checkTexts(of string, texts ...string) error {
	for _, text := range texts {
		if Tidy(text, MaxText) != text {
			return fmt.Errorf("%s with a text that is not printable, or longer than %d bytes: %.40q", of, MaxText, text)
		}
	}
	return nil
}
