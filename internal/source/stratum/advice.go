package stratum

import (
	"log/slog"
	"math"
	"time"
)

const (
	// lookInterval is the time between two looks at how the mining goes.
	lookInterval = time.Minute
	// unluckily is how many shares are expected where none is accepted before it is told of: none
	// comes by bad luck alone with a probability of e^-x, one in ten thousand.
	unluckily = 9.22
	// recentShares is how many of the latest shares are looked at for those that were refused,
	// and fewShares how few of them say nothing.
	recentShares = 100
	fewShares    = 20
	// maxRefused is the part of them that may be refused, in percent.
	maxRefused = 5
	// adviceInterval is the least time between two warnings of a kind.
	adviceInterval = 10 * time.Minute
)

// advice tells the user what is wrong when nobody else does. It is the link's goroutine's own.
type advice struct {
	log *slog.Logger

	recent      []Outcome // the latest shares that were answered
	words       string    // of the latest refusal
	refusedTold time.Time // when was told of refusals

	difficulty uint64  // of the job that is searched
	counted    uint64  // nonces of the present search that are in what follows
	nonces     uint64  // since the last look
	broken     bool    // there was not a job all the time since then
	expected   float64 // shares since the last that was accepted
	settledNow int     // shares that were settled in the meantime
	looked     time.Time
	slowTold   time.Time // when was told of a difficulty that is too high
}

func newAdvice(log *slog.Logger) *advice { return &advice{log: log, broken: true, looked: time.Now()} }

// settled takes what became of a share that was sent.
func (a *advice) settled(o Outcome, words string) {
	a.settledNow++
	if o == Accepted {
		a.expected, a.settledNow = 0, 0
	}
	if o == Unacknowledged {
		return
	}
	if o != Accepted {
		a.words = words
	}
	a.recent = append(a.recent, o)
	if len(a.recent) > recentShares {
		a.recent = a.recent[1:]
	}
	a.refusals()
}

// refusals warns of shares that are refused.
func (a *advice) refusals() {
	var counts Counts
	for _, o := range a.recent {
		counts[o]++
	}
	n, refused := len(a.recent), counts.Refused()
	if n < fewShares || refused*100 <= maxRefused*uint64(n) || !a.refusedTold.IsZero() && time.Since(a.refusedTold) < adviceInterval {
		return
	}
	most, advice := Stale, ""
	for o := Stale; o <= Other; o++ {
		if counts[o] > counts[most] {
			most = o
		}
	}
	switch most {
	case Stale:
		advice = "shares arrive too late: choose a pool, or a server of it, that is nearer, and look at the line"
	case Duplicate:
		advice = "another miner may use the same session or proxy; if not, please report this"
	case LowDifficulty:
		advice = "the pool may have changed its difficulty unheard: restart the miner; if that does not help, please report this with the name of the pool"
	default:
		advice = "ask the pool what its words mean"
	}
	a.log.Warn("shares are refused", "percent", math.Round(float64(refused)*1000/float64(n))/10, "of", n, "mostly", most.String(), "reason", a.words, "advice", advice)
	a.recent, a.refusedTold = nil, time.Now()
}

// begin takes that a search begins for a job of that difficulty.
func (a *advice) begin(difficulty uint64) { a.difficulty, a.counted = difficulty, 0 }

// searched takes how many nonces the present search has evaluated.
func (a *advice) searched(evaluated uint64) {
	if evaluated <= a.counted || a.difficulty == 0 {
		return
	}
	n := evaluated - a.counted
	a.counted = evaluated
	a.nonces += n
	a.expected += float64(n) / float64(a.difficulty)
}

// interrupted takes that there is no job any more.
func (a *advice) interrupted() { a.broken = true }

// look warns of what shows with time, once a lookInterval, whether there is a job or not.
func (a *advice) look(evaluated uint64, pool string, working bool) {
	a.searched(evaluated)
	if a.expected > unluckily {
		advice := "the miner finds nothing: run quantus-miner doctor"
		if a.settledNow > 0 {
			advice = "shares are found, and the pool accepts none: look at the reasons above, at the address that is paid, and at the pool's own page"
		}
		a.log.Warn("no share was accepted for so long that it is no bad luck", "pool", pool, "expected", math.Round(a.expected*10)/10, "found", a.settledNow, "advice", advice)
		a.expected, a.settledNow = 0, 0
	}
	rate := float64(a.nonces) / time.Since(a.looked).Seconds()
	broken := a.broken
	a.nonces, a.looked, a.broken = 0, time.Now(), !working
	if broken {
		return // and the rate is less than it could be
	}
	perHour := rate * 3600 / float64(a.difficulty)
	if rate > 0 && perHour < 1 && (a.slowTold.IsZero() || time.Since(a.slowTold) >= time.Hour) {
		a.slowTold = time.Now()
		a.log.Warn("the pool's difficulty gives less than a share an hour", "pool", pool, "difficulty", a.difficulty,
			"hours_a_share", math.Round(10/perHour)/10, "advice", "many pools have another port for slower miners, or take a difficulty in the password: see the pool's own page")
	}
}
