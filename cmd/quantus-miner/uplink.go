package main

import (
	"context"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/watch/metrics"
)

// uplink is a link to nodes, to pools or to a hub. Of its fields at most one is not nil.
type uplink struct {
	node *quicnode.Link
	pool *stratum.Link
	hub  *fleet.Link
}

// newUplink returns a miner's link to the nodes, the pools or the hub that it is to work for, if
// there are any.
func (s service) newUplink(miner *mining.Miner) (up uplink, err error) {
	switch {
	case s.nodes != nil:
		up.node = quicnode.New(miner, s.nodes, s.log)
	case s.pools != nil:
		up.pool = stratum.New(miner, s.pools, "quantus-miner/"+version(), s.log)
		up.pool.KeepAlive = s.keepAlive
	case s.worksFor != nil:
		up.hub, err = fleet.New(miner, *s.worksFor)
	}
	return up, err
}

// connects says whether the miner connects to those that it works for.
func (s service) connects() bool { return s.nodes != nil || s.pools != nil || s.worksFor != nil }

// exists says whether there is a link.
func (u uplink) exists() bool { return u.node != nil || u.pool != nil || u.hub != nil }

// String says how the link stands, or nothing if there is none.
func (u uplink) String() string {
	switch {
	case u.node != nil:
		return u.node.Status().String()
	case u.pool != nil:
		return u.pool.Status().String()
	case u.hub != nil:
		return u.hub.Status().String()
	}
	return ""
}

// run works for nodes, pools or a hub until ctx is done.
func (u uplink) run(ctx context.Context) error {
	switch {
	case u.pool != nil:
		return u.pool.Run(ctx)
	case u.hub != nil:
		return u.hub.Run(ctx)
	}
	return u.node.Run(ctx)
}

// watch has what no overview of the miner tells told to a monitor.
func (u uplink) watch(m *monitor) {
	switch {
	case u.node != nil:
		u.node.Sent, u.node.FirstNonce = m.Sent, m.FirstNonce
	case u.pool != nil:
		u.pool.Settled, u.pool.FirstNonce = m.Settled, m.FirstNonce
	case u.hub != nil:
		u.hub.FirstNonce = m.FirstNonce
	}
}

// report returns what each line with the hash rate has of the link, if there is one.
func (u uplink) report() []any {
	switch {
	case u.node != nil:
		status := u.node.Status()
		return []any{"node", status.String(), "state", status.State.String()}
	case u.hub != nil:
		status := u.hub.Status()
		return []any{"hub", status.String(), "state", status.State.String(), "leases", status.Leases}
	case u.pool == nil:
		return nil
	}
	status := u.pool.Status()
	attrs := []any{"pool", status.String(), "state", status.State.String(), "accepted", status.Shares[stratum.Accepted], "refused", status.Shares.Refused()}
	if n := status.Shares[stratum.Unacknowledged]; n > 0 {
		attrs = append(attrs, "unacknowledged", n)
	}
	if status.Latency > 0 {
		attrs = append(attrs, "latency", status.Latency.Round(100*time.Microsecond))
	}
	return attrs
}

// idle says why nothing is searched, or nothing if something is.
func idle(setup metrics.Setup) string {
	switch {
	case setup.Node != nil && setup.Node().State != upstream.Working:
		return setup.Node().String()
	case setup.Pool != nil && setup.Pool().State != upstream.Working:
		return setup.Pool().String()
	case setup.Hub != nil && setup.Hub().State != upstream.Working:
		return setup.Hub().String()
	}
	return ""
}
