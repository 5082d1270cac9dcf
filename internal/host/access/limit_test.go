package access

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestBucket takes permits at random times, and counts those of all stretches of
// time.
func TestBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bucket
		now := time.Unix(1<<30, 0)
		var taken []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "takes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(interval)*2).Draw(t, "later")) / time.Duration(rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "by")))
			copied := b
			wait := b.take(now)
			if wait == 0 {
				taken = append(taken, now)
				continue
			}
			if b != copied {
				t.Fatal("a permit that was not given was taken")
			}
			if early := copied.take(now.Add(wait - 1)); early != 1 {
				t.Fatalf("has to wait for %s, and %s are left when all but 1 ns are over", wait, early)
			}
			copied = b
			if late := copied.take(now.Add(wait)); late != 0 {
				t.Fatalf("has waited for %s, and has to wait for %s more", wait, late)
			}
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if most := burst + int(taken[j].Sub(taken[i])/interval); j-i+1 > most {
					t.Fatalf("%d permits in %s", j-i+1, taken[j].Sub(taken[i]))
				}
			}
		}
	})
}

// TestBucketGivesBack takes permits and gives some back.
func TestBucketGivesBack(t *testing.T) {
	var b bucket
	now := time.Unix(1<<30, 0)
	for range 5 * burst {
		if wait := b.take(now); wait != 0 {
			t.Fatalf("has to wait for %s, though all permits were given back", wait)
		}
		b.giveBack()
	}
	for i := range burst {
		if wait := b.take(now); wait != 0 {
			t.Fatalf("has to wait for %s after %d permits", wait, i)
		}
	}
	if wait := b.take(now); wait != interval {
		t.Errorf("has to wait for %s, want %s", wait, interval)
	}
}

func TestNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1":                "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":       "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:1":   "2001:db8:1:2::/64",
		"[fe80::1:2:3:4%eth0]:65535": "fe80::/64",
		"[::1]:80":                   "::/64",
		"":                           "invalid Prefix",
		"@":                          "invalid Prefix",
		"pipe":                       "invalid Prefix",
	} {
		if got := network(remote).String(); got != want {
			t.Errorf("%s is of the network %s, want %s", remote, got, want)
		}
	}
}

// address returns the i-th of a number of networks.
func address(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

// TestRecordsAreBounded floods them from more networks than are kept apart.
func TestRecordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r records
		guesser := address(0)
		for range burst {
			r.take(guesser)
		}
		for i := range 3 * maxNetworks {
			if i%2 == 0 {
				r.refused(address(i + 1)) // which is not for a guess
			} else {
				r.take(address(i + 1))
			}
			if len(r.byNetwork) > maxNetworks {
				t.Fatalf("%d networks are kept apart", len(r.byNetwork))
			}
			if r.byNetwork[address(i+1)] == nil {
				t.Fatal("the latest is not known")
			}
		}
		if r.take(guesser) == 0 {
			t.Error("who guesses was forgotten")
		}
		<-time.After(logInterval)
		for i := range maxNetworks {
			r.take(address(i))
		}
		<-time.After(burst * interval)
		r.take(address(1 << 20))
		if len(r.byNetwork) != 1 {
			t.Errorf("%d networks are known, want 1: the others have nothing to answer for", len(r.byNetwork))
		}
	})
}

// TestRecordsAreKept has one network in the log of late, and others long ago.
func TestRecordsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r records
		for i := range maxNetworks - 1 {
			r.take(address(i))
		}
		<-time.After(logInterval)
		late := address(maxNetworks)
		if _, line := r.refused(late); !line {
			t.Error("no line about a network")
		}
		r.take(address(maxNetworks + 1))
		if n := len(r.byNetwork); n != 2 {
			t.Errorf("%d networks are known, want 2", n)
		}
		if _, line := r.refused(late); line {
			t.Error("two lines about a network, one after the other")
		}
	})
}

// TestGate holds the gate, and counts who waits; twice, as nobody may be left in it.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			if err := g.enter(ctx); err != nil {
				t.Fatal(err)
			}
			results := make(chan error, maxWaiting)
			for range maxWaiting {
				go func() { results <- g.enter(ctx) }()
			}
			synctest.Wait()
			if len(results) != 0 {
				t.Fatal("somebody did not wait")
			}
			if err := g.enter(t.Context()); err != errBusy {
				t.Errorf("%d wait, and one more is told %v", maxWaiting, err)
			}
			g.leave()
			synctest.Wait()
			if len(results) != 1 || <-results != nil {
				t.Fatal("not exactly one of them was let in")
			}
			cancel()
			for range maxWaiting - 1 {
				if err := <-results; err != errBusy {
					t.Errorf("who gave up was told %v", err)
				}
			}
			g.leave()
		}
	})
}
