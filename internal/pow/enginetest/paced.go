package enginetest

import (
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Paced is an engine for tests of what uses engines. It takes a certain time for every
// nonce, also within a bubble of testing/synctest, and finds the nonce that it is given.
type Paced struct {
	// Interval is the time that a nonce takes.
	Interval time.Duration
	// Winner is the one valid nonce. No nonce is if it is 0.
	Winner u512.Uint
}

// Name implements [engine.Engine].
func (Paced) Name() string { return "paced" }

// Backend implements [engine.Engine].
func (Paced) Backend() string { return "clock" }

// Prepare implements [engine.Engine]. It returns no error.
func (e Paced) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }

// Search implements [engine.Job].
func (e Paced) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		<-time.After(e.Interval)
		goOn := p.Advance(1)
		_, valid := e.Verify(nonce)
		switch {
		case valid:
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		case nonce == r.End:
			return engine.Outcome{Status: engine.Exhausted}
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

// Verify implements [engine.Job].
func (e Paced) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return u512.Uint{}, nonce == e.Winner && !nonce.IsZero()
}
