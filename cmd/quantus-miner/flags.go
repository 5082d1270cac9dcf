package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"go.uber.org/automaxprocs/maxprocs"

	"github.com/quantus-network/quantus-miner/internal/host/priority"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// powFlags choose what to mine.
type powFlags struct {
	PoW pow.Proof `name:"pow" env:"MINER_POW" enum:"${pows}" default:"sha3-rsa" placeholder:"NAME" help:"Proof of work: sha3-rsa, the default, or poseidon2, which is that of today's network; a threshold is a difficulty then."`
}

// minerFlags choose how to mine.
type minerFlags struct {
	workersFlags
	Engine engineFlag `env:"MINER_ENGINE" default:"auto" placeholder:"NAME" help:"Engine, one of ${engines}; auto, the default, is the fastest that passes its self-test."`
}

// workersFlags choose on how many threads.
type workersFlags struct {
	Workers workersFlag `aliases:"num-cores,cores,cpu-workers" env:"MINER_WORKERS,MINER_CORES,MINER_CPU_WORKERS" default:"${cpus}" help:"Worker threads, up to 4096; by default all CPUs this process may use. 0 is to mine on GPUs alone. Also --num-cores, --cores, --cpu-workers."`
}

// check returns an error unless there is a worker, or something else to mine with.
func (f workersFlags) check(others bool) error {
	if f.Workers > 0 || others {
		return nil
	}
	from := ""
	for _, name := range []string{"MINER_CPU_WORKERS", "MINER_CORES", "MINER_WORKERS"} {
		if os.Getenv(name) == "0" {
			from = fmt.Sprintf(" (from envar %s=\"0\")", name)
		}
	}
	return fmt.Errorf("--workers: must be a number from 1 to %d: 0 is no mining on CPUs, and there is nothing else to mine with%s", maxWorkers, from)
}

// The types of flags. Each reads itself from text, and its error says what the
// flag must be; the parser puts the flag's name in front.

// headerFlag is a mining hash.
type headerFlag [32]byte

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *headerFlag) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(f)) {
		return fmt.Errorf("must be 64 hex digits without a prefix, not %d characters", len(text))
	}
	if _, err := hex.Decode(f[:], text); err != nil {
		return errors.New("must be 64 hex digits without a prefix")
	}
	return nil
}

// nonceFlag is a nonce in hex.
type nonceFlag u512.Uint

// String returns the flag as it is given.
func (f headerFlag) String() string { return hex.EncodeToString(f[:]) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *nonceFlag) UnmarshalText(text []byte) error {
	x, err := u512.ParseHex(string(text))
	*f = nonceFlag(x)
	return err
}

// String returns the flag as it is given.
func (f nonceFlag) String() string { return u512.Uint(f).Hex() }

// thresholdFlag is a distance threshold, or a difficulty, in decimal.
type thresholdFlag u512.Uint

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *thresholdFlag) UnmarshalText(text []byte) error {
	x, err := u512.ParseDecimal(string(text))
	*f = thresholdFlag(x)
	return err
}

// String returns the flag as it is given.
func (f thresholdFlag) String() string { return u512.Uint(f).String() }

// threshold returns what --threshold and --difficulty come to, at most one of which is
// given, or 0 for none. A difficulty by its own name is Poseidon2's alone: taken for a
// distance it would mean the opposite.
func (f powFlags) threshold(threshold, difficulty *thresholdFlag) (u512.Uint, error) {
	name := "--threshold"
	if difficulty != nil {
		if f.PoW != pow.Poseidon2 {
			return u512.Uint{}, fmt.Errorf("--difficulty: is for --pow poseidon2; with %s, say --threshold", f.PoW)
		}
		name, threshold = "--difficulty", difficulty
	}
	if threshold == nil {
		return u512.Uint{}, nil
	}
	x := u512.Uint(*threshold)
	if f.PoW == pow.Poseidon2 && x.IsZero() {
		return x, fmt.Errorf("%s: must not be 0, as it is the difficulty with --pow poseidon2", name)
	}
	return x, nil
}

// portFlag is a TCP port; 0 is any that is free.
type portFlag uint16

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *portFlag) UnmarshalText(text []byte) error {
	x, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return errors.New("must be a port from 0 (any that is free) to 65535")
	}
	*f = portFlag(x)
	return nil
}

// hostFlag is a host name or an IP address to listen on.
type hostFlag string

// hostName is the form of a host name. An empty one is none: to the net package
// it would mean every interface.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *hostFlag) UnmarshalText(text []byte) error {
	host := string(text)
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") { // an IPv6 address as in a URL
		host = host[1 : len(host)-1]
	}
	address, err := netip.ParseAddr(host)
	// The zone of an address, an interface, may be anything to ParseAddr.
	if err != nil && !hostName.MatchString(host) || address.Zone() != "" && !hostName.MatchString(address.Zone()) {
		return errors.New("must be a host name or an IP address (0.0.0.0 or :: for every interface), without a port")
	}
	*f = hostFlag(host)
	return nil
}

// network returns the network to listen on. An IPv4 address is for IPv4 alone: to the net
// package 0.0.0.0 would be every interface by IPv6 as well, past a firewall for IPv4.
func (f hostFlag) network() string {
	if ip, err := netip.ParseAddr(string(f)); err == nil && ip.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// maxWorkers bounds --workers: more than any machine has CPUs.
const maxWorkers = 4096

// workersFlag is a number of workers, 0 for no mining on CPUs.
type workersFlag int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *workersFlag) UnmarshalText(text []byte) error {
	x, err := strconv.Atoi(string(text))
	if err != nil || x < 0 || x > maxWorkers {
		return fmt.Errorf("must be a number from 1 to %d (--num-cores, --cores and --cpu-workers are the same)", maxWorkers)
	}
	*f = workersFlag(x)
	return nil
}

// effectiveCPUs is the number of CPUs that this process may use: those of its
// affinity mask or the variable GOMAXPROCS, as the Go runtime finds them at the
// start, within a container's CPU limit. A limit is rounded up, or a part of it
// would go unused. It is counted once, before a [service] makes room for more
// threads.
var effectiveCPUs = sync.OnceValue(func() int {
	cpus := min(runtime.GOMAXPROCS(0), maxWorkers)
	// The runtime knows of limits too, and rounds them up, but takes none for less than 2.
	if cpus == 2 {
		restore, err := maxprocs.Set(maxprocs.RoundQuotaFunc(func(limit float64) int { return int(math.Ceil(limit)) }))
		if err != nil { // a limit that cannot be read is none
			return cpus
		}
		defer restore()
		cpus = min(cpus, runtime.GOMAXPROCS(0))
	}
	// Of Windows's processor groups it counts one.
	if _, given := os.LookupEnv("GOMAXPROCS"); !given && cpus == runtime.NumCPU() {
		cpus = min(priority.NewGroups().CPUs(), maxWorkers)
	}
	return cpus
})

// durationFlag is a time longer than nothing.
type durationFlag time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *durationFlag) UnmarshalText(text []byte) error {
	d, err := parseTime(string(text))
	if err != nil || d < time.Millisecond || d > 24*time.Hour {
		return errors.New("must be a time from 1ms to 24h, such as 500ms or 2s")
	}
	*f = durationFlag(d)
	return nil
}

// String returns the flag as it is given.
func (f durationFlag) String() string { return shortTime(time.Duration(f)) }

// shortTime writes a time without the parts of it that are 0.
func shortTime(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// parseTime reads a time; a plain number is one of seconds.
func parseTime(text string) (time.Duration, error) {
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		text += "s"
	}
	return time.ParseDuration(text)
}

// intervalFlag is the time between two things that recur; 0 is never.
type intervalFlag time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *intervalFlag) UnmarshalText(text []byte) error {
	d, err := parseTime(string(text))
	if err != nil || d != 0 && (d < time.Second || d > 24*time.Hour) {
		return errors.New("must be a time from 1s to 24h, such as 10s, or 0 for never")
	}
	*f = intervalFlag(d)
	return nil
}

// String returns the flag as it is given.
func (f intervalFlag) String() string { return shortTime(time.Duration(f)) }

// countFlag is a number of things, at least one.
type countFlag int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *countFlag) UnmarshalText(text []byte) error {
	x, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || x < 1 {
		return errors.New("must be a number from 1 to 2147483647")
	}
	*f = countFlag(x)
	return nil
}

// throttleFlag is a share of time, in percent; 0 stands for all of it, too.
type throttleFlag int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *throttleFlag) UnmarshalText(text []byte) error {
	x, err := strconv.Atoi(strings.TrimSuffix(string(text), "%"))
	if err != nil || x < 1 || x > 100 {
		return errors.New("must be a share of time from 1% to 100%")
	}
	*f = throttleFlag(x)
	return nil
}

// share returns the share of time, up to 1.
func (f throttleFlag) share() float64 { return float64(f) / 100 }

// String returns the flag as it is given.
func (f throttleFlag) String() string { return fmt.Sprintf("%d%%", int(f)) }

// sizeFlag is a number of bytes.
type sizeFlag int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *sizeFlag) UnmarshalText(text []byte) error {
	x, err := humanize.ParseBytes(string(text))
	if err != nil || x < 1<<10 || x > 1<<20 {
		return errors.New("must be a size from 1KiB to 1MiB, such as 8KiB")
	}
	*f = sizeFlag(x)
	return nil
}

// String returns the flag as it is given.
func (f sizeFlag) String() string {
	if f%(1<<10) == 0 {
		return fmt.Sprintf("%dKiB", int(f)>>10)
	}
	return fmt.Sprintf("%dB", int(f))
}
