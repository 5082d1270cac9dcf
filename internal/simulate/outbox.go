package simulate

import "sync"

// outbox holds what is to be sent to a miner, so that nobody waits for one that does not
// read.
type outbox struct {
	mu     sync.Mutex
	unsent [][]byte
	more   chan struct{} // there is something unsent
}

func newOutbox() outbox { return outbox{more: make(chan struct{}, 1)} }

// send has frames sent, soon.
func (o *outbox) send(frames ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsent = append(o.unsent, frames...)
	select {
	case o.more <- struct{}{}:
	default: // it is known
	}
}

// take returns what is unsent.
func (o *outbox) take() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames := o.unsent
	o.unsent = nil
	return frames
}
