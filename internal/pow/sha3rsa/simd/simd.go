package simd

import (
	"math"
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/blocks"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is cpu-simd with one of its kernels; [Engines] makes them.
type Engine struct{ kernel kernel }

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-simd" }

// Backend implements [engine.Engine]: it is the kernel's name.
func (e Engine) Backend() string { return e.kernel.Name }

// Lanes is how many nonces the kernel evaluates at a time.
func (e Engine) Lanes() int { return e.kernel.Lanes }

// Prepare implements [engine.Engine]. It returns no error.
func (e Engine) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	return newJob(e.kernel, sha3rsa.NewJobContext(header, threshold)), nil
}

// stretches are the numbers of consecutive nonces that a lane may go through
// before the lanes are set anew, longest first. A block of the longest takes 0.4 ms at
// most, so a stop takes effect that soon. Setting a lane takes 0.2 µs, half a percent of
// that in all.
var stretches = [...]int{1024, 128, 16}

// portableStretch is the longest stretch of the portable kernel: 0.15 ms.
const portableStretch = 256

type job struct {
	kernel kernel
	ctx    *sha3rsa.JobContext
	// leaps[i] leads from the start of one lane's stretch of stretches[i] to the
	// next lane's.
	leaps [len(stretches)]sha3rsa.Leap
}

func newJob(k kernel, ctx *sha3rsa.JobContext) *job {
	j := &job{kernel: k, ctx: ctx}
	for i, stretch := range stretches {
		j.leaps[i] = ctx.Leap(uint64(stretch))
	}
	return j
}

// Search implements [engine.Job]. A block is one stretch of consecutive nonces for each
// lane of the kernel; the stretches follow each other. The portable kernel evaluates what
// is too short for that.
func (j *job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	first, last := j.ctx.Distinct(r.Start, r.End)
	y := j.ctx.InitWorkerY0(first)
	one := newPortable(j.ctx)
	many := j.kernel.NewWalker(j.ctx)
	// The first block is a short one, so that a new job's first nonces are counted
	// at once.
	most := uint64(stretches[1] * j.kernel.Lanes)
	return blocks.SearchDistinct(r, first, last, p, func(nonce u512.Uint, more uint64) (uint64, u512.Uint, bool) {
		w, lanes, stretch, leap := j.plan(min(more, most-1)+1, one, many)
		most = math.MaxUint64
		for lane := range lanes {
			if lane > 0 {
				leap.Mul(&y)
			}
			w.set(lane, y)
		}
		evaluated, winner, found := j.block(w, nonce, lanes, stretch)
		y = w.residue(lanes - 1) // where the next block begins
		return evaluated, winner, found
	})
}

// plan chooses how the next block is evaluated, of at most n nonces.
func (j *job) plan(n uint64, one, many walker) (w walker, lanes, stretch int, leap *sha3rsa.Leap) {
	if many != nil {
		for i, stretch := range stretches {
			if n >= uint64(stretch*j.kernel.Lanes) {
				return many, j.kernel.Lanes, stretch, &j.leaps[i]
			}
		}
	}
	return one, 1, int(min(n, portableStretch)), nil
}

// block evaluates all lanes' stretches and returns the lowest valid nonce, if there is
// one. It ends early when no lane can find a lower one any more.
func (j *job) block(w walker, start u512.Uint, lanes, stretch int) (evaluated uint64, winner u512.Uint, found bool) {
	wanted := uint64(1)<<lanes - 1 // the lanes in front of the winner's
	done := 0
	for done < stretch && wanted != 0 {
		steps, survivors := w.walk(stretch - done)
		done += steps
		for survivors &= wanted; survivors != 0; survivors &= survivors - 1 {
			lane := bits.TrailingZeros64(survivors)
			nonce := start.AddWrap(u512.From64(uint64(lane*stretch + done - 1)))
			if _, valid := j.ctx.Verify(nonce, j.ctx.Threshold); valid {
				winner, found = nonce, true
				wanted = 1<<lane - 1
				break
			}
		}
	}
	return uint64(lanes * done), winner, found
}

// Verify implements [engine.Job].
func (j *job) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return sha3rsa.NewReference(j.ctx.Header).Verify(nonce, j.ctx.Threshold)
}
