// Package engine says what a search engine is: the contract alone.
//
// An [Engine] turns a header and a threshold into a [Job], once; a Job searches
// ranges of nonces, from many goroutines at a time, each with a [Progress] of
// its own. Callers know nothing of the mathematics behind it, so another proof
// of work is another set of engines. What a threshold is, and a distance, each
// proof of work says for itself:
//
//	            threshold                the distance of a nonce   valid
//	sha3-rsa    the largest distance     T xor H(y)                not nonce 0
//	poseidon2   the difficulty D, not 0  its hash, less than       any nonce
//	                                     ⌊(2^512−1)/D⌋ if valid
//
// The engines are below internal/pow (start with a baseline, a page long). Package pow
// lists them, and package enginetest holds the conformance suite that says precisely
// what each of them must do.
package engine

import (
	"math"
	"sync/atomic"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is a way to search for nonces.
type Engine interface {
	// Name is what operators call the engine, "cpu-fast" for one.
	Name() string
	// Backend names the code that does the engine's arithmetic on this machine,
	// such as "generic" for portable Go. Operators read it beside the name.
	Backend() string
	// Prepare does what is done once per header and threshold. It takes well
	// under a millisecond. A threshold that makes no sense to the proof of work is a
	// [ThresholdError].
	Prepare(header [32]byte, threshold u512.Uint) (Job, error)
}

// ThresholdError says why a threshold makes no sense to a proof of work.
type ThresholdError struct{ Err error }

// Error implements error.
func (e *ThresholdError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *ThresholdError) Unwrap() error { return e.Err }

// Job is a header and a threshold, ready to be searched. Its methods may be
// called concurrently.
type Job interface {
	// Search evaluates the nonces of r in ascending order until one is valid,
	// the range is exhausted, or p is stopped. A nonce that the rule excludes
	// (nonce 0 of sha3-rsa) is skipped and not counted. An empty range (Start > End)
	// is exhausted.
	//
	// The evaluated nonces are added to p as the search goes on, and all of
	// them before it returns: up to and including the winner, or the whole
	// range. An engine that evaluates nonces in blocks adds what it evaluated of
	// the winner's, beyond the winner as well. A search that ends early has
	// evaluated as many nonces from the start of the range as it has added: the rest
	// can be searched by another. Nonces that share the distance of another, and so
	// need no calculation of their own, count as evaluated.
	Search(r Range, p *Progress) Outcome
	// Verify computes a nonce's distance afresh, by the plain reference rule,
	// and reports whether the nonce is valid. It shares nothing with Search that
	// Search could spoil: it is how a wrong engine is found out.
	Verify(nonce u512.Uint) (distance u512.Uint, ok bool)
}

// Range is an inclusive range of nonces. It is empty if Start > End, as one
// range of 2^512 nonces exists and its size is no [u512.Uint].
type Range struct{ Start, End u512.Uint }

// Empty reports whether r holds no nonce.
func (r Range) Empty() bool { return r.Start.Cmp(r.End) > 0 }

// Outcome is how a search ended.
type Outcome struct {
	Status Status
	// Nonce is the lowest valid nonce of the range when Status is Found.
	Nonce u512.Uint
}

// Status is the way in which a search ended.
type Status int

// The ways in which a search ends. The zero value promises nothing.
const (
	// Stopped says that the search ended early: Progress.Stop was called.
	Stopped Status = iota
	// Exhausted says that the whole range was searched and holds no valid nonce.
	Exhausted
	// Found says that a valid nonce was found.
	Found
	// Unavailable says that the search ended early as the engine cannot search at
	// present: the device that it uses is lost, for one. Engines that need nothing
	// but the CPU do not return it.
	Unavailable
)

// Progress is what a search and its owner share: the search counts in it, and
// looks there whether it should stop. The zero value is ready for use. One
// search at a time may use it; anybody may read and stop it.
//
// It is padded to cache lines of its own, so that a worker's count never slows
// the worker beside it: 128 bytes, as CPUs fetch lines of 64 bytes in pairs.
type Progress struct {
	_         [128]byte
	evaluated atomic.Uint64
	request   atomic.Uint32 // what is asked of the search; usually nothing
	first     func()        // what notifyFirst calls
	stopped   atomic.Pointer[func()]
	_         [128 - 32]byte
}

// What may be asked of a search. The requests share a word, so that a batch costs
// one look at it, whoever asks.
const (
	nothing uint32 = iota
	notifyFirst
	stop
)

// Advance adds n evaluated nonces and reports whether the search should go on.
// Engines call it once a batch, so that a stop takes effect within about a
// millisecond at most; it costs one uncontended atomic operation.
func (p *Progress) Advance(n uint64) bool {
	// The search is the only writer, so load and store need no loop. The count
	// stays at its maximum instead of wrapping: a stretch of the range that shares a distance
	// can be longer than 2^64 nonces.
	sum := p.evaluated.Load() + n
	if sum < n {
		sum = math.MaxUint64
	}
	p.evaluated.Store(sum)
	return p.request.Load() == nothing || p.answer()
}

// answer does what is asked of the search, and reports whether it should go on.
func (p *Progress) answer() bool {
	if p.request.Load() == notifyFirst {
		if p.evaluated.Load() == 0 {
			return true // a look at the stop flag before the first batch
		}
		// If this fails a stop has come in between, which stays.
		if p.request.CompareAndSwap(notifyFirst, nothing) {
			p.first()
			return true
		}
	}
	return false
}

// NotifyFirst has the search call f, once, when it has counted its first
// nonces. It is to be called before the search begins, and costs the search
// nothing afterwards. A search that is stopped before does not call f.
func (p *Progress) NotifyFirst(f func()) {
	p.first = f
	p.request.CompareAndSwap(nothing, notifyFirst)
}

// Stop asks the search to end soon. Later searches with the same Progress end
// at once.
func (p *Progress) Stop() {
	p.request.Store(stop)
	if f := p.stopped.Load(); f != nil {
		(*f)()
	}
}

// OnStop has Stop call f, for a search that waits for others and has no batches after which
// it would look. If the search was told to stop before, f is called at once. It may be called
// more than once, and must return at once. A nil f ends that.
func (p *Progress) OnStop(f func()) {
	if f == nil {
		p.stopped.Store(nil)
		return
	}
	p.stopped.Store(&f)
	if p.request.Load() == stop {
		f()
	}
}

// Evaluated returns the number of nonces evaluated so far.
func (p *Progress) Evaluated() uint64 { return p.evaluated.Load() }
