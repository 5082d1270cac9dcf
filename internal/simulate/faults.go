package simulate

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// fault is something that goes wrong with a node, and from which miners recover by
// themselves.
type fault struct {
	name  string
	lasts Trouble           // until the next one
	once  func(n *QUICNode) // nil for nothing else
}

var faults = []fault{
	{name: "connections are dropped", once: func(n *QUICNode) { n.Drop("") }},
	{name: "the node is restarted", once: func(n *QUICNode) {
		n.Close()
		n.back()
	}},
	{name: "the node crashes, and is started again", once: func(n *QUICNode) {
		n.SwitchOff()
		n.back()
	}},
	{name: "an unknown message", once: func(n *QUICNode) { n.Say(`{"Hello":{}}`) }},
	{name: "a frame that is too long", once: func(n *QUICNode) { n.Say(strings.Repeat(" ", wire.MaxFrame+1)) }},
	{name: "the node has no job", lasts: Trouble{Quiet: true}},
	{name: "seals are refused", lasts: Trouble{Refuse: true}},
	{name: "each job is sent three times", lasts: Trouble{Repeat: 2}},
	{name: "frames arrive byte by byte", lasts: Trouble{Pieces: true}},
	{name: "jobs have unknown fields", lasts: Trouble{Fields: true}},
	{name: "a fifth of all packets is lost", lasts: Trouble{Loss: 0.2}},
	{name: "all packets are lost", lasts: Trouble{Mute: true}},
}

// back switches the node on again.
func (n *QUICNode) back() {
	if err := n.SwitchOn(); err != nil { // as another took the port
		n.fail(err)
	}
}

// InjectFaults injects one fault after the other, in random order, until ctx is done, and
// waits before each. The log says which.
func (n *QUICNode) InjectFaults(ctx context.Context, every time.Duration) {
	again(ctx, every, faults, n.inject)
	n.Change(func(t *Trouble) { *t = Trouble{} })
}

// again does one thing after the other, in random order, until ctx is done, and waits
// before each.
func again[T any](ctx context.Context, every time.Duration, things []T, do func(T)) {
	for {
		for _, i := range rand.Perm(len(things)) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
			do(things[i])
		}
	}
}

// inject has a fault begin, and ends the one before.
func (n *QUICNode) inject(f fault) {
	n.log.Warn("trouble: " + f.name)
	n.Change(func(t *Trouble) { *t = f.lasts })
	if f.once != nil {
		f.once(n)
	}
}
