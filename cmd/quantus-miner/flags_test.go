package main

import (
	"encoding"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// FuzzFlags gives every type of flag any text. What is taken is within its
// bounds, and reads the same when it is written again; for what is refused the
// error says what it must be.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{
		"", "0", "1", "-1", "+7", "0x1", "4096", "4097", "65535", "65536", "2147483647", "2147483648",
		strings.Repeat("aF", 32), strings.Repeat("f", u512.HexDigits), u512.Max().String(), u512.Max().String() + "0",
		"1ms", "0s", "1s", "24h", "24h0m1ns", "-2s", "1e3s", "500µs",
		"localhost", "::", "[::1]", "[::1", "fe80::1%eth0", "::1%]", "0.0.0.0", "0.0.0.0:1", "a-", "münchen",
		"50%", "100", "8KiB", "1e3KiB", "1048576", "1.5 kB",
		"auto", "all", "cpu-fast", "cpu-fast,cpu-simd", "cpu-fast,",
	} {
		f.Add(s)
	}
	// number says whether digits stand for a number that is written as again.
	number := func(digits, again string) bool {
		return again == max(strings.TrimLeft(strings.ToLower(digits), "0"), "0")
	}
	f.Fuzz(func(t *testing.T, s string) {
		// read reads s, and again what write makes of it.
		read := func(flag encoding.TextUnmarshaler, write func() (again string, legal bool)) {
			t.Helper()
			if err := flag.UnmarshalText([]byte(s)); err != nil {
				if !strings.Contains(err.Error(), "must be ") {
					t.Errorf("%T: %q is refused with %q", flag, s, err)
				}
				return
			}
			again, legal := write()
			if !legal {
				t.Errorf("%T: %q was taken for %s", flag, s, again)
			}
			if err := flag.UnmarshalText([]byte(again)); err != nil {
				t.Errorf("%T: %q was taken for %s, which is refused: %v", flag, s, again, err)
			} else if same, _ := write(); same != again {
				t.Errorf("%T: %q was taken for %s, and that for %s", flag, s, again, same)
			}
		}

		var header headerFlag
		read(&header, func() (string, bool) {
			again := hex.EncodeToString(header[:])
			return again, again == strings.ToLower(s)
		})
		var nonce nonceFlag
		read(&nonce, func() (string, bool) {
			again := u512.Uint(nonce).Hex()
			return again, number(s, again)
		})
		var threshold thresholdFlag
		read(&threshold, func() (string, bool) {
			again := u512.Uint(threshold).String()
			return again, number(s, again)
		})
		var port portFlag
		read(&port, func() (string, bool) {
			again := strconv.Itoa(int(port))
			return again, number(s, again)
		})
		var throttle throttleFlag
		read(&throttle, func() (string, bool) {
			return throttle.String(), throttle.share() >= 0.01 && throttle.share() <= 1
		})
		var size sizeFlag
		read(&size, func() (string, bool) {
			return fmt.Sprintf("%dB", int(size)), 1<<10 <= size && size <= 1<<20
		})
		var workers workersFlag
		read(&workers, func() (string, bool) {
			again := strconv.Itoa(int(workers))
			return again, 0 <= workers && workers <= maxWorkers && number(strings.TrimPrefix(s, "+"), again)
		})
		var count countFlag
		read(&count, func() (string, bool) {
			again := strconv.Itoa(int(count))
			return again, count >= 1 && number(strings.TrimPrefix(s, "+"), again)
		})
		var duration durationFlag
		read(&duration, func() (string, bool) {
			d := time.Duration(duration)
			return d.String(), time.Millisecond <= d && d <= 24*time.Hour
		})
		var interval intervalFlag
		read(&interval, func() (string, bool) {
			d := time.Duration(interval)
			return d.String(), d == 0 || time.Second <= d && d <= 24*time.Hour
		})
		var host hostFlag
		read(&host, func() (string, bool) {
			again := string(host)
			split, _, err := net.SplitHostPort(net.JoinHostPort(again, "1"))
			return again, err == nil && split == again && again != "" && (s == again || s == "["+again+"]")
		})
		var node nodeFlag
		read(&node, func() (string, bool) {
			again := string(node)
			host, port, err := net.SplitHostPort(again)
			return again, err == nil && host != "" && port != "" && port != "0"
		})
		var pin pinFlag
		read(&pin, func() (string, bool) {
			again := wire.Fingerprint(pin).String()
			return again, len(again) == 64
		})
		var engine engineFlag
		read(&engine, func() (string, bool) {
			return s, engine.name == s && (s == pow.Auto || s == gpu.Name || slices.Contains(pow.Names(), s))
		})
		var engines enginesFlag
		read(&engines, func() (string, bool) {
			names := strings.Split(s, ",")
			if s == "all" {
				names = pow.Names()
			}
			return strings.Join(names, ","), len(engines.listed) == len(names)
		})
	})
}

// FuzzMinerURL makes requests of what simulate takes for a miner's URL.
func FuzzMinerURL(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1:9833", "https://[::1]:9833/", "http://user:secret@host/a%2Fb//", "http://a?", "http://a#", "http://a?b=c",
		"http://:9833", "http://a:65536", "http://a:", "ftp://a", "HTTP://a", "//a", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := (&simulateCmd{Miner: &s, powFlags: powFlags{PoW: pow.SHA3RSA}, minerFlags: minerFlags{workersFlags: workersFlags{Workers: 1}}}).Validate(); err != nil {
			if !strings.Contains(err.Error(), "--miner: must be ") {
				t.Errorf("%q is refused with %q", s, err)
			}
			return
		}
		r, err := http.NewRequest(http.MethodGet, strings.TrimRight(s, "/")+"/result/x", nil)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if r.URL.Hostname() == "" || !strings.HasSuffix(r.URL.Path, "/result/x") || r.URL.RawQuery != "" {
			t.Errorf("with %q, the result is asked for at host %q, path %q, query %q", s, r.URL.Host, r.URL.Path, r.URL.RawQuery)
		}
	})
}
