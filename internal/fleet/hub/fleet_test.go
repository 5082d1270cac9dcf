package hub_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(5 * time.Second) {
			t.Fatal("not ready")
		}
		ctx, cancel := context.WithCancel(t.Context())
		m := mining.New(log)
		go m.Run(ctx)
		conn, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			t.Fatal(err)
		}
		h, err := hub.New(conn, m, hub.Config{Fleet: "main", PoW: "paced", Reference: enginetest.Paced{}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		hubDone := make(chan error)
		go func() { hubDone <- h.Run(ctx) }()

		wm := mining.New(log, &mining.Crew{Engine: enginetest.Paced{Interval: time.Millisecond}, Workers: 2})
		wm.Limits.Over = 16
		go wm.Run(ctx)
		l, err := fleet.New(wm, fleet.Config{Fleet: "main", Hub: "test", Name: "rig7", PoW: "paced", Log: log, Dial: func(id string, o ...nats.Option) (*nats.Conn, error) {
			subjects, _ := wire.NewSubjects("main")
			return nats.Connect("", append(o, nats.InProcessServer(s), nats.CustomInboxPrefix(subjects.Inbox(id)))...)
		}})
		if err != nil {
			t.Fatal(err)
		}
		linkDone := make(chan error)
		go func() { linkDone <- l.Run(ctx) }()
		job, err := m.Submit(mining.Request{ID: "a", Range: engine.Range{Start: u512.From64(1), End: u512.From64(50000)}})
		if err != nil {
			t.Fatal(err)
		}
		<-job.Done()
		t.Log(job.Snapshot(), h.Overview())
		cancel()
		t.Log(<-hubDone, <-linkDone)
		conn.Close()
		s.Shutdown()
		s.WaitForShutdown()
	})
}
