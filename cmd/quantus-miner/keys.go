package main

import (
	"log/slog"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

// keysHelp says what keys there are.
const keysHelp = "h rates by thread and device, s summary, p pause and resume, q end"

// keys are what a person at the terminal asks and tells a miner.
type keys struct {
	miner *mining.Miner
	board *status.Board
	log   *slog.Logger
	end   func() // the miner
}

// press does what a key is for.
func (k keys) press(key byte) {
	switch key {
	case 'h', 'H':
		k.rates()
	case 's', 'S':
		k.summary()
	case 'p', 'P':
		if k.miner.Paused() {
			k.miner.Resume()
			k.log.Info("resumed")
		} else {
			k.miner.Pause()
			k.log.Info("paused", "keys", "p goes on")
		}
	case 'q', 'Q':
		k.log.Info("ending", "keys", "q was pressed")
		k.end()
	case '?':
		k.log.Info("keys", "keys", keysHelp)
	}
}

// rates tells how fast each device is, and each of its threads.
func (k keys) rates() {
	for _, d := range k.board.Status().Devices {
		var threads []any
		for _, t := range d.Threads {
			threads = append(threads, t.Name, t.HashRate)
		}
		k.log.Info("device", "device", d.Name, "engine", d.Engine, "kernel", d.Backend, "hash_rate", d.HashRate, slog.Group("threads", threads...))
	}
}

// summary tells how the miner stands.
func (k keys) summary() {
	s := k.board.Status()
	attrs := []any{
		"state", s.State, "reason", s.Reason, "hash_rate", s.HashRate, "hashes", s.Hashes, "found", s.Found, "effort", s.Effort,
		"jobs_total", uint64(s.Jobs.Running) + s.Jobs.Completed + s.Jobs.Failed + s.Jobs.Cancelled,
	}
	if len(s.Winners) > 0 {
		attrs = append(attrs, "last_winner", time.Since(s.Winners[0].Time).Round(time.Second))
	}
	if s.Pool != nil {
		shares := s.Pool.Shares
		attrs = append(attrs, "accepted", shares.Accepted, "refused", shares.Stale+shares.Duplicate+shares.LowDifficulty+shares.Other)
	}
	if s.Job != nil {
		attrs = append(attrs, "difficulty", s.Job.Difficulty)
	}
	k.log.Info("summary", append(attrs, "uptime", time.Duration(s.Uptime*float64(time.Second)).Round(time.Second))...)
}
