package stratum

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// algorithm is the proof of work of the pools' jobs.
const algorithm = "qpow-poseidon2"

// work is a pool's job: what is to be searched for.
type work struct {
	puzzle
	id  label
	seq *uint64 // nil if the pool does not count its jobs
	// clean says that shares of the job before are of no use any more.
	clean bool
}

// puzzle is what makes a job another one. Two jobs with the same are the same.
type puzzle struct {
	space
	difficulty uint64
	target     u512.Uint // a share's hash is less
}

// space is what nonces are tried for. Two jobs with the same may share their nonces, and
// must not try one twice.
type space struct {
	hash       [32]byte
	extranonce [4]byte // with which all nonces of the session begin
}

// parseWork reads a job. Its error is a [ViolationError].
func parseWork(raw json.RawMessage) (w work, err error) {
	o, err := strictjson.Parse(raw)
	if err != nil {
		return w, violation("a job is %w", err)
	}
	w.clean = true
	if algo := member(o, "algo"); algo != nil && digits(algo) != algorithm {
		return w, violation("the job's algo is %s, and this miner knows only %q", tidy(string(algo)), algorithm)
	}
	if w.id, err = parseLabel(member(o, "job_id"), "a job's job_id"); err != nil {
		return w, err
	}
	if err := parseHex(w.hash[:], member(o, "mining_hash"), "mining_hash"); err != nil {
		return w, err
	}
	if err := parseHex(w.extranonce[:], member(o, "extranonce"), "extranonce"); err != nil {
		return w, err
	}
	if seq := member(o, "seq"); seq != nil {
		n, err := strconv.ParseUint(digits(seq), 10, 64)
		if err != nil {
			return w, violation("a job's seq is no whole number: %s", tidy(string(seq)))
		}
		w.seq = &n
	}
	w.difficulty, w.target, err = parseTarget(member(o, "difficulty"), member(o, "target"))
	return w, err
}

// parseTarget reads difficulty and target, of which one may be missing: it follows from the
// other, as target = ⌊(2^512−1)/difficulty⌋.
func parseTarget(difficulty, target json.RawMessage) (d uint64, t u512.Uint, err error) {
	if difficulty == nil && target == nil {
		return 0, t, violation("a job has neither difficulty nor target")
	}
	if target != nil {
		var bytes [u512.Size]byte
		if err := parseHex(bytes[:], target, "target"); err != nil {
			return 0, t, err
		}
		t = u512.FromBytes(bytes)
		if t.IsZero() {
			return 0, t, violation("a job's target is 0")
		}
	}
	if difficulty == nil {
		// The quotient is exact: with t = ⌊M/d⌋ for M = 2^512−1, M/t is at least d, and less
		// than d·(1 + d/(M−d)), which is less than d + 1 for each d below 2^255.
		d = quotient(t)
	} else if d, err = strconv.ParseUint(digits(difficulty), 10, 64); err != nil || d == 0 {
		return 0, t, violation("a job's difficulty is no whole number from 1 to 2^64−1: %s", tidy(string(difficulty)))
	}
	if d == 0 {
		return 0, t, violation("a job's target is that of no difficulty up to 2^64−1")
	}
	follows := u512.Max().Div64(d)
	if target != nil && t != follows {
		return 0, t, violation("a job's target is not that of its difficulty %d, which is %s", d, follows.PaddedHex())
	}
	return d, follows, nil
}

// quotient returns ⌊(2^512−1)/t⌋, or 0 if that has more than 64 bits.
func quotient(t u512.Uint) uint64 {
	b := u512.Max().Big()
	if b.Div(b, t.Big()); !b.IsUint64() {
		return 0
	}
	return b.Uint64()
}

// parseHex reads hex digits of one length.
func parseHex(into []byte, raw json.RawMessage, name string) error {
	if raw == nil {
		return violation("a job's %s is missing", name)
	}
	var text string
	err := json.Unmarshal(raw, &text)
	if err == nil && len(text) != hex.EncodedLen(len(into)) {
		err = fmt.Errorf("%d characters", len(text))
	}
	if err == nil {
		_, err = hex.Decode(into, []byte(text))
	}
	if err != nil {
		return violation("a job's %s is no text of %d hex digits: %w", name, hex.EncodedLen(len(into)), err)
	}
	return nil
}

// follows returns an error if the work cannot come after another of its session: a pool's
// count never goes down, and is compared if both have one.
func (w work) follows(last *work) error {
	if last != nil && last.seq != nil && w.seq != nil && *w.seq < *last.seq {
		return violation("a job's seq goes down, from %d to %d", *last.seq, *w.seq)
	}
	return nil
}
