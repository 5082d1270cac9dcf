package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// The bounds of what is said. Whoever reads a message that exceeds one refuses it.
const (
	// MaxMessage is how many bytes a message may have.
	MaxMessage = 4 << 10
	// MaxLeases is how many leases a worker may hold, and how many a message may be about.
	MaxLeases = 8
	// MaxJobs is how many jobs a [Beacon] may list.
	MaxJobs = 128
	// MaxThreads is how many threads a worker may tell of.
	MaxThreads = 1 << 16
	// MaxEngines is how many engines a worker may tell of.
	MaxEngines = 16
	// MaxText is how many bytes a text may have, unless it is said otherwise.
	MaxText = 120
	// MaxReason is how many bytes the reason may have for which a worker is refused.
	MaxReason = 400
	// MaxName is how many bytes the name of a machine may have.
	MaxName = 32
	// MaxLeaseSize is how many nonces a lease may have.
	MaxLeaseSize = 1 << 48
)

// Times that both sides keep.
const (
	// ReportInterval is the time between two reports of a worker.
	ReportInterval = time.Second
	// BeaconInterval is the time between two beacons of a hub.
	BeaconInterval = time.Second
	// Silence is after which time without a word the other side is taken for gone.
	Silence = 5 * time.Second
)

// Hello is a worker's first request, after each connection and whenever it meets another hub.
type Hello struct {
	Wire    int    `json:"wire"`    // the [Version] that it speaks
	Name    string `json:"name"`    // what its operator calls it
	Version string `json:"version"` // of the program
	PoW     string `json:"pow"`     // the proof of work that it can search
	Threads int    `json:"threads"` // that search
	// Engines are what it searches with, as operators know them.
	Engines []Engine `json:"engines"`
}

// Engine is one of the engines of a worker.
type Engine struct {
	Name    string `json:"name"`
	Backend string `json:"backend"`
	Device  string `json:"device,omitempty"` // empty for the CPU
}

// Welcome is the answer to a [Hello].
type Welcome struct {
	Wire int    `json:"wire"`
	Hub  string `json:"hub"`            // its instance id
	Name string `json:"name,omitempty"` // what the machine is called in this fleet
	// Error says why the machine is refused, for people.
	Error string `json:"error,omitempty"`
	// Final says that it is of no use to ask again: the worker has to be changed first.
	Final bool `json:"final,omitempty"`
}

// Orders are all that a worker is to search. What it holds and is not in them it does not
// hold any more.
type Orders struct {
	Hub string `json:"hub"`
	// Out are the leases that the hub takes the worker to hold, by number, in the order in
	// which they are to be searched.
	Out []uint64 `json:"out"`
	// Lease is one of them that the worker may not know yet.
	Lease *Lease `json:"lease,omitempty"`
}

// Lease is a stretch of a job's range, and all that is needed to search it.
type Lease struct {
	// Number is never used twice in the life of a hub. It grows.
	Number uint64 `json:"number"`
	// Job is the number of the job. It is never used twice in the life of a hub. Name is for
	// people.
	Job  uint64 `json:"job"`
	Name string `json:"name"`
	PoW  string `json:"pow"`
	// Header, Threshold, Start and End are as the node's API has them; End is the last nonce.
	Header    Hash      `json:"mining_hash"`
	Threshold Threshold `json:"threshold"`
	Start     Nonce     `json:"nonce_start"`
	End       Nonce     `json:"nonce_end"`
	// GoOn says that the lease is to be searched to its end, whatever is found.
	GoOn bool `json:"go_on,omitempty"`
}

// Beacon is what all workers are told each second, and when a job ends.
type Beacon struct {
	Hub string `json:"hub"`
	// Jobs are the jobs that are still searched, by number. Others are over, up to Upto; all
	// those above it go on.
	Jobs []uint64 `json:"jobs"`
	Upto uint64   `json:"upto"`
}

// Report is how a worker stands.
type Report struct {
	Hub   string `json:"hub"`
	State State  `json:"state"`
	// Leases are those of the last [Orders], and those that ended since the last report.
	Leases []Progress `json:"leases"`
}

// State is what a worker does.
type State string

// The states of a worker.
const (
	// Able workers search, or would if they had a lease.
	Able State = "able"
	// Unable workers have nothing to search with at present, or are paused.
	Unable State = "unable"
	// Leaving workers will not report again.
	Leaving State = "leaving"
)

// Progress is how a lease stands.
type Progress struct {
	Number uint64 `json:"number"`
	// Done is how many nonces from the start of the lease are searched without a gap, and Tried
	// how many were evaluated, wherever in it.
	Done  uint64 `json:"done"`
	Tried uint64 `json:"tried"`
	End   End    `json:"end,omitempty"` // empty while it goes on
	// Error says for people why a lease failed.
	Error string `json:"error,omitempty"`
}

// End is how a lease ended.
type End string

// The ways in which a lease ends.
const (
	// Exhausted: it was searched whole.
	Exhausted End = "exhausted"
	// Won: a winner was found, and the lease did not go on.
	Won End = "won"
	// Failed: it cannot be searched.
	Failed End = "failed"
	// Dropped: the worker was told to, or its job is over.
	Dropped End = "dropped"
)

// Found is a winner, as a request.
type Found struct {
	Hub string `json:"hub"` // from which the lease was
	Job uint64 `json:"job"`
	// Header and Threshold tell another hub which job it was, if the first one was restarted.
	Header    Hash      `json:"mining_hash"`
	Threshold Threshold `json:"threshold"`
	Nonce     Nonce     `json:"nonce"`
	// Leases are as in a [Report]: so the hub knows what was evaluated by the time of the winner.
	Leases []Progress `json:"leases"`
}

// Verdict is the answer to a [Found].
type Verdict struct {
	Hub    string `json:"hub"`
	Result Result `json:"result"`
}

// Result is what becomes of a winner.
type Result string

// What can become of a winner. It is offered again unless it was one of these.
const (
	// Taken: the hub has it.
	Taken Result = "taken"
	// Known: the hub had it already.
	Known Result = "known"
	// Stale: its job is over.
	Stale Result = "stale"
	// Wrong: it is not valid. The hub puts the machine out.
	Wrong Result = "wrong"
)

// Rival is what a hub asks others, and is told by them.
type Rival struct {
	Hub     string `json:"hub"`
	Address string `json:"address"`
	// Started is when it became the fleet's hub, in milliseconds since 1970.
	Started int64 `json:"started_ms"`
}

// Hash is 32 bytes, 64 hex digits as text.
type Hash [32]byte

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash must be %d hex digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Nonce is a nonce, 128 hex digits as text.
type Nonce u512.Uint

// MarshalText implements [encoding.TextMarshaler].
func (n Nonce) MarshalText() ([]byte, error) { return []byte(u512.Uint(n).PaddedHex()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *Nonce) UnmarshalText(text []byte) error {
	if len(text) != u512.HexDigits {
		return fmt.Errorf("a nonce must be %d hex digits, not %d", u512.HexDigits, len(text))
	}
	x, err := u512.ParseHex(string(text))
	*n = Nonce(x)
	return err
}

// Threshold is what makes a nonce valid: a number below 2^512, decimal as text.
type Threshold u512.Uint

// MarshalText implements [encoding.TextMarshaler].
func (t Threshold) MarshalText() ([]byte, error) { return []byte(u512.Uint(t).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Threshold) UnmarshalText(text []byte) error {
	x, err := u512.ParseDecimal(string(text))
	*t = Threshold(x)
	return err
}

// Encode returns a message as it is sent. Its errors are those of the message's bounds.
func Encode(m Message) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("sending %T: %w", m, err)
	}
	text, err := json.Marshal(m)
	if err == nil && len(text) > MaxMessage {
		err = fmt.Errorf("%d bytes, more than %d", len(text), MaxMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("sending %T: %w", m, err)
	}
	return text, nil
}

// Message is one of the messages.
type Message interface {
	// Check returns what of the message exceeds its bounds or makes no sense.
	Check() error
}

// Decode reads a message that somebody sent who is not to be trusted.
func Decode[M Message](text []byte) (m M, err error) {
	if len(text) > MaxMessage {
		return m, fmt.Errorf("a message of %d bytes, more than %d", len(text), MaxMessage)
	}
	if !utf8.Valid(text) {
		return m, errors.New("a message that is no UTF-8")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("a message that cannot be read: %w", err)
	}
	return m, m.Check()
}

// Tidy returns a text as it may be sent and shown: without what is not printable, and cut to
// so many bytes.
func Tidy(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, text)
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}

// MachineName returns a name as one of a machine: letters, digits, dots, hyphens and underscores, as
// many as may be. It is not empty.
func MachineName(text string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("._-", c):
			return c
		default:
			return '-'
		}
	}, text)
	name = strings.Trim(name[:min(len(name), MaxName)], ".-")
	if name == "" {
		return "worker"
	}
	return name
}
