package simulate

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// mishap is something that goes wrong with a node, and that miners get over by
// themselves.
type mishap struct {
	name  string
	lasts Trouble           // until the next one
	once  func(n *QUICNode) // nil for nothing else
}

var mishaps = []mishap{
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

// Suffer has something go wrong with the node, again and again, in any order, until
// ctx is done. Before each of these it waits for a time. The log says what happens.
func (n *QUICNode) Suffer(ctx context.Context, every time.Duration) {
	for {
		for _, i := range rand.Perm(len(mishaps)) {
			select {
			case <-ctx.Done():
				n.Change(func(t *Trouble) { *t = Trouble{} })
				return
			case <-time.After(every):
			}
			n.meet(mishaps[i])
		}
	}
}

// meet has something go wrong.
func (n *QUICNode) meet(m mishap) {
	n.log.Warn("trouble: " + m.name)
	n.Change(func(t *Trouble) { *t = m.lasts })
	if m.once != nil {
		m.once(n)
	}
}
