package console

import (
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"strings"
	"time"
)

// line is what a person is told by one record: a label, and then parts.
type line struct {
	label, colour string
	parts         []string
	debug         bool // for those alone who want to know more
}

// say adds a part to the line, if there is one.
func (l *line) say(part string) {
	if part != "" {
		l.parts = append(l.parts, part)
	}
}

// fields are the attributes of a record.
type fields map[string]slog.Value

// text returns a field as text, or nothing if there is none.
func (f fields) text(name string) string {
	value, ok := f[name]
	if !ok || value.Any() == nil {
		return ""
	}
	return value.String()
}

// number returns a field that is a number, of whatever type.
func (f fields) number(name string) (float64, bool) {
	switch value := f[name]; value.Kind() {
	case slog.KindFloat64:
		return value.Float64(), true
	case slog.KindInt64:
		return float64(value.Int64()), true
	case slog.KindUint64:
		return float64(value.Uint64()), true
	case slog.KindString: // of numbers that are too large for the others
		x, _, err := big.ParseFloat(value.String(), 10, 64, big.ToNearestEven)
		if err != nil {
			return 0, false
		}
		number, _ := x.Float64()
		return number, true
	default:
		return 0, false
	}
}

// duration returns a field that is a time.
func (f fields) duration(name string) (time.Duration, bool) {
	value := f[name]
	if value.Kind() != slog.KindDuration {
		return 0, false
	}
	return value.Duration(), true
}

// job returns the name of a job, as the node has it.
func (f fields) job() string {
	name, _, _ := strings.Cut(f.text("job"), "#")
	return "job " + shorten(name, 30)
}

// composers make a line of each record that is known, by its message. They hold no more
// than what the records have: the same records are written as JSON.
var composers = map[string]func(f fields, past *lines) line{
	"mining for nodes":       title,
	"mining for pools":       title,
	"serving the node's API": title,
	"serving metrics and a live page": func(f fields, _ *lines) line {
		return line{label: "page", parts: []string{f.text("page")}}
	},
	"connected to the pool": func(f fields, _ *lines) line {
		return line{label: "pool", colour: green, parts: []string{f.text("pool"), "connected"}}
	},
	"working for the pool": func(f fields, _ *lines) line {
		l := line{label: "pool", colour: green, parts: []string{f.text("pool"), "working for it"}}
		l.say(fmt.Sprintf("(pool %s of %s)", f.text("rank"), f.text("of")))
		return l
	},
	"the pool has no job": func(f fields, _ *lines) line {
		return line{label: "pool", parts: []string{f.text("pool"), "it has no job"}}
	},
	"cannot connect to the pool":  func(f fields, _ *lines) line { return lost(f, "pool", "cannot connect") },
	"connection to the pool lost": func(f fields, _ *lines) line { return lost(f, "pool", "lost") },
	"share accepted": func(f fields, _ *lines) line {
		return line{label: "accepted", colour: green, parts: shareParts(f)}
	},
	"share refused": func(f fields, _ *lines) line {
		return line{label: "REJECTED: " + strings.ReplaceAll(f.text("result"), "_", " "), parts: append(shareParts(f), f.text("reason"))}
	},
	"share not acknowledged": func(f fields, _ *lines) line {
		return line{label: "NO ANSWER", parts: append(shareParts(f), f.text("reason"))}
	},
	"share not sent": func(f fields, _ *lines) line {
		return line{label: "stale", parts: append(shareParts(f), "not sent: "+f.text("reason"))}
	},
	"connected to the node": func(f fields, _ *lines) line {
		return line{label: "node", colour: green, parts: []string{f.text("node"), "connected"}}
	},
	"working for the node": func(f fields, _ *lines) line {
		l := line{label: "node", colour: green, parts: []string{f.text("node"), "working for it"}}
		l.say(fmt.Sprintf("(node %s of %s)", f.text("rank"), f.text("of")))
		return l
	},
	"waiting for the first job: the node may be syncing": func(f fields, _ *lines) line {
		return line{label: "node", parts: []string{f.text("node"), "waiting for the first job: the node may be syncing"}}
	},
	"cannot connect to the node": func(f fields, _ *lines) line { return lost(f, "node", "cannot connect") },
	"connection lost":            func(f fields, _ *lines) line { return lost(f, "node", "lost") },
	"the miner ends": func(f fields, _ *lines) line {
		server := "node"
		if f.text("pool") != "" {
			server = "pool"
		}
		return line{label: server, parts: []string{f.text(server), f.text("reason") + ": the miner ends"}}
	},
	"new job":     newJob,
	"job started": newJob,
	"result sent": func(f fields, _ *lines) line {
		l := found(f)
		if after, ok := f.duration("after"); ok {
			l.say("sent in " + Short(after))
		}
		if n := f.text("found"); n != "" {
			l.say("(" + n + " found)")
		}
		return l
	},
	"job completed": func(f fields, _ *lines) line {
		l := found(f)
		if took, ok := f.duration("elapsed"); ok {
			l.say("after " + Short(took))
		}
		return l
	},
	"job failed": func(f fields, _ *lines) line {
		return line{label: f.job(), colour: yellow, parts: []string{"failed: " + f.text("reason")}}
	},
	"job cancelled": func(f fields, _ *lines) line {
		return line{label: f.job(), parts: []string{"cancelled"}, debug: true}
	},
	"hash rate": speed,
	"keys":      func(f fields, _ *lines) line { return line{label: "keys", parts: []string{f.text("keys")}} },
	"paused": func(f fields, _ *lines) line {
		return line{label: "PAUSED", colour: yellow, parts: []string{f.text("keys")}}
	},
	"resumed":   func(fields, *lines) line { return line{label: "resumed", colour: green} },
	"ending":    func(f fields, _ *lines) line { return line{label: "ending", parts: []string{f.text("keys")}} },
	"device":    device,
	"summary":   summary,
	"shut down": func(fields, *lines) line { return line{label: "ended"} },
}

// title is the first line of a miner.
func title(f fields, _ *lines) line {
	l := line{label: "quantus-miner " + f.text("version"), colour: bold}
	l.say(f.text("pow"))
	threads := "threads"
	if f.text("workers") == "1" {
		threads = "thread"
	}
	l.say(fmt.Sprintf("%s %s %s (%s)", f.text("workers"), threads, f.text("engine"), f.text("kernel")))
	if url := f.text("url"); url != "" {
		l.say("serving " + url)
	}
	return l
}

// shareParts are what a line about a share has: how many of those that the pool has judged were accepted, the difficulty, and
// how long the answer took.
func shareParts(f fields) (parts []string) {
	count := f.text("accepted") + "/" + f.text("answered")
	if difficulty, ok := f.number("difficulty"); ok {
		count += " (diff " + SI(difficulty) + ")"
	}
	if latency, ok := f.duration("latency"); ok {
		count += " " + Short(latency)
	}
	return []string{count}
}

// lost is that there is no connection to a server: a node or a pool.
func lost(f fields, server, what string) line {
	text := what + ": " + f.text("reason")
	if mining, ok := f["mining"]; ok && mining.Kind() == slog.KindBool && !mining.Bool() {
		text += "; not mining"
	}
	if next, ok := f.duration("next_try"); ok {
		text += "; next try in " + Short(next)
	}
	return line{label: server, parts: []string{f.text(server), text}}
}

// newJob is that there is something to search for.
func newJob(f fields, past *lines) line {
	l := line{label: f.job(), colour: bold}
	difficulty, ok := f.number("difficulty")
	if !ok {
		l.say("started")
		return l
	}
	l.say("difficulty " + SI(difficulty))
	if rate := past.lastSpeed(); rate > 0 {
		l.say(Long(difficulty/rate) + " " + winnerOf(f) + " at this speed")
	}
	return l
}

// winnerOf says what a winner is: a pool's share, or a block.
func winnerOf(f fields) string {
	if f.text("pool") != "" {
		return "a share"
	}
	return "a block"
}

// found is that there is a winner.
func found(f fields) line {
	return line{label: "FOUND", colour: green, parts: []string{f.job(), "nonce " + shorten(f.text("nonce"), 8)}}
}

// speed is how fast the miner is, and how far.
func speed(f fields, past *lines) line {
	l := line{label: "speed"}
	for _, average := range []struct{ field, name string }{
		{"hash_rate_10s", "10 s"}, {"hash_rate_60s", "60 s"}, {"hash_rate_15m", "15 min"},
	} {
		rate, known := f.number(average.field)
		text := "–"
		if known {
			text = Rate(rate)
		}
		l.say(average.name + " " + text)
	}
	now := 0.0
	if crews := f["hash_rates"]; crews.Kind() == slog.KindGroup {
		for _, crew := range crews.Group() {
			if rate := crew.Value; rate.Kind() == slog.KindFloat64 {
				l.say(crew.Key + " " + Rate(rate.Float64()))
				now += rate.Float64()
			}
		}
	}
	if machines := f.text("machines"); machines != "" {
		text := machines + " machines"
		if rate, ok := f.number("fleet_hash_rate"); ok {
			text += " " + Rate(rate)
			now += rate
		}
		for _, state := range []string{"idle", "unable", "gone", "out"} {
			if n := f.text("machines_" + state); n != "" {
				text += ", " + n + " " + state
			}
		}
		l.say(text)
	}
	// As for the time to a block: behind a pause each is too low in its own way.
	if average, ok := f.number("hash_rate_10s"); ok && now > 0 {
		now = max(now, average)
	}
	past.setSpeed(now)
	for _, count := range []struct{ field, name string }{
		{"found", "found"}, {"accepted", "accepted"}, {"refused", "refused"}, {"unacknowledged", "no answer"}, {"jobs_total", "jobs"},
	} {
		if n := f.text(count.field); n != "" {
			l.say(count.name + " " + n)
		}
	}
	if effort, ok := f.number("effort"); ok {
		l.say("effort " + Effort(effort))
	}
	if wait, ok := f.duration("time_to_block"); ok {
		seconds := wait.Seconds()
		if wait == math.MaxInt64 {
			seconds = math.Inf(1)
		}
		l.say(winnerOf(f) + " in " + Long(seconds))
	}
	if uptime, ok := f.duration("uptime"); ok {
		l.say("up " + clock(uptime))
	}
	if f.text("paused") != "" {
		l.say("PAUSED")
	}
	if state := f.text("state"); state != "" && state != "working" {
		l.say(f.text("node") + f.text("pool") + f.text("hub"))
	}
	return l
}

// manyThreads is how many threads are too many for a line.
const manyThreads = 16

// device is how fast a device is, and each of its threads.
func device(f fields, _ *lines) line {
	l := line{label: f.text("device")}
	if rate, ok := f.number("hash_rate"); ok {
		l.say(Rate(rate))
	}
	l.say(fmt.Sprintf("%s (%s)", f.text("engine"), f.text("kernel")))
	var threads []slog.Attr
	if f["threads"].Kind() == slog.KindGroup {
		threads = f["threads"].Group()
	}
	slowest, fastest := math.Inf(1), 0.0
	for _, thread := range threads {
		rate := thread.Value.Float64()
		slowest, fastest = min(slowest, rate), max(fastest, rate)
		if len(threads) > 1 && len(threads) <= manyThreads {
			l.say(thread.Key + ": " + Rate(rate))
		}
	}
	if len(threads) > manyThreads {
		l.say(fmt.Sprintf("%d threads, from %s to %s", len(threads), Rate(slowest), Rate(fastest)))
	}
	return l
}

// summary is how a miner stands.
func summary(f fields, _ *lines) line {
	l := line{label: "summary", parts: []string{f.text("state")}}
	l.say(f.text("reason"))
	if rate, ok := f.number("hash_rate"); ok {
		l.say(Rate(rate))
	}
	if difficulty, ok := f.number("difficulty"); ok {
		l.say("difficulty " + SI(difficulty))
	}
	found := "found " + f.text("found")
	if ago, ok := f.duration("last_winner"); ok {
		found += ", the last " + Short(ago) + " ago"
	}
	l.say(found)
	if effort, ok := f.number("effort"); ok {
		l.say("effort " + Effort(effort))
	}
	if hashes, ok := f.number("hashes"); ok {
		l.say(SI(hashes) + " hashes")
	}
	if accepted := f.text("accepted"); accepted != "" {
		l.say("accepted " + accepted)
		l.say("refused " + f.text("refused"))
	}
	l.say("jobs " + f.text("jobs_total"))
	if uptime, ok := f.duration("uptime"); ok {
		l.say("up " + clock(uptime))
	}
	return l
}
