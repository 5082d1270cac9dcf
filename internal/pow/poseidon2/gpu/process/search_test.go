package process

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// tape is a device that finds what it is told to, by the low 32 bits of nonces, and
// writes down what it was told.
type tape struct {
	finds    func(low uint32) bool
	launches []driver.Launch
	slots    [driver.Slots]*driver.Launch
	err      error
}

func (d *tape) List() ([]wire.Device, error)                        { return []wire.Device{{ID: "tape"}}, nil }
func (d *tape) Open(ordinal int, fresh bool) (driver.Device, error) { return d, d.err }
func (d *tape) Kernel() string                                      { return "none" }

func (d *tape) Start(slot int, l driver.Launch) error {
	if d.slots[slot] != nil {
		return errors.New("the slot is taken")
	}
	d.launches = append(d.launches, l)
	d.slots[slot] = &l
	return nil
}

func (d *tape) Wait(slot int, _ time.Duration) (found uint32, nonces []uint32, err error) {
	l := d.slots[slot]
	if l == nil {
		return 0, nil, errors.New("the slot is free")
	}
	d.slots[slot] = nil
	for i := l.Count; i > 0; i-- { // the highest first
		if d.finds(l.First + i - 1) {
			if found++; len(nonces) < wire.MaxFound {
				nonces = append(nonces, i-1)
			}
		}
	}
	return found, nonces, nil
}

// nothing is what no nonce is found by.
func nothing(uint32) bool { return false }

// searched returns what a searcher tells of a search, with batches put together.
func searched(t *testing.T, d *tape, size uint32, search wire.Search) (count uint64, found []uint64) {
	t.Helper()
	s := newSearcher(d, time.Hour, 1, func(r wire.Reply) error {
		if r.Batch.ID != search.ID {
			t.Errorf("a batch of search %d", r.Batch.ID)
		}
		for _, offset := range r.Batch.Found {
			found = append(found, count+uint64(offset))
		}
		count += r.Batch.Count
		return nil
	})
	s.sizer.size = size
	s.sizer.target = 0 // so that it stays
	s.begin(search)
	for !s.idle() {
		if err := s.step(); err != nil {
			t.Fatal(err)
		}
		s.sizer.size = size
	}
	return count, found
}

// TestPieces has more nonces found than a launch has room for: none is lost, and all come in
// their order.
func TestPieces(t *testing.T) {
	for name, finds := range map[string]func(uint32) bool{
		"all":       func(uint32) bool { return true },
		"half":      func(low uint32) bool { return low&1 == 0 },
		"some":      func(low uint32) bool { return low&63 == 0 },
		"one":       func(low uint32) bool { return low == 4711 },
		"a stretch": func(low uint32) bool { return low >= 20_000 && low < 21_000 },
	} {
		const total = uint64(50_000)
		start := u512.From64(1<<32 - 777).AddWrap(u512.From64(1).Lsh(100)) // across the end of a period
		count, found := searched(t, &tape{finds: finds}, 16384, wire.Search{ID: 3, Start: start, End: start.AddWrap(u512.From64(total - 1))})
		var want []uint64
		for i := range total {
			if finds(uint32(1<<32 - 777 + i)) {
				want = append(want, i)
			}
		}
		if count != total || !cmp.Equal(found, want) {
			t.Errorf("%s: %d nonces evaluated, %d found, want %d, %d", name, count, len(found), total, len(want))
		}
	}
}

// TestPiecesStopped stops a search, and begins another, while a launch is searched again:
// there is no more of it.
func TestPiecesStopped(t *testing.T) {
	d := &tape{finds: func(uint32) bool { return true }}
	told := 0
	s := newSearcher(d, time.Hour, 1, func(wire.Reply) error { told++; return nil })
	s.sizer.size = 1 << 20
	for search := range uint64(3) {
		told = 0
		s.begin(wire.Search{ID: search + 1, End: u512.Max()})
		for told < 2 {
			if err := s.step(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.stop()
	launches := len(d.launches)
	for !s.idle() {
		if err := s.step(); err != nil {
			t.Fatal(err)
		}
	}
	if told != 2 || len(d.launches) != launches || len(s.free) != driver.Slots {
		t.Errorf("after the stop: %d batches were told of, and %d launches started; %d slots are free", told-2, len(d.launches)-launches, len(s.free))
	}
}

// TestLaunches holds launches to what one may be: of one period, with a job of its own.
func TestLaunches(t *testing.T) {
	d := &tape{finds: nothing}
	edge := u512.From64(1).Lsh(256) // where the midstate changes
	if count, _ := searched(t, d, 1000, wire.Search{ID: 1, Start: edge.SubWrap(u512.From64(1500)), End: edge.AddWrap(u512.From64(1499))}); count != 3000 {
		t.Errorf("%d nonces evaluated, want 3000", count)
	}
	type launch struct{ First, Count uint32 }
	var got []launch
	for _, l := range d.launches {
		got = append(got, launch{l.First, l.Count})
	}
	want := []launch{{1<<32 - 1500, 1000}, {1<<32 - 500, 500}, {0, 1000}, {1000, 500}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if before, behind := d.launches[1].Job, d.launches[2].Job; before == behind || before.Midstate == behind.Midstate || d.launches[0].Job != before || d.launches[3].Job != behind {
		t.Error("the jobs of the launches are not those of their periods")
	}
}

// TestReplaced begins a search while another is in flight, of which nothing is told any
// more.
func TestReplaced(t *testing.T) {
	var told []uint64
	s := newSearcher(&tape{finds: nothing}, time.Hour, 1, func(r wire.Reply) error {
		told = append(told, r.Batch.ID)
		return nil
	})
	s.begin(wire.Search{ID: 1, End: u512.Max()})
	for range 3 {
		if err := s.step(); err != nil {
			t.Fatal(err)
		}
	}
	before := s.job
	s.begin(wire.Search{ID: 2, Header: [32]byte{1}, End: u512.From64(99)})
	for !s.idle() {
		if err := s.step(); err != nil {
			t.Fatal(err)
		}
	}
	if s.job == before {
		t.Error("the job of another header is the same")
	}
	s.begin(wire.Search{ID: 3, End: u512.Max()})
	if err := s.step(); err != nil {
		t.Fatal(err)
	}
	s.stop()
	for !s.idle() {
		if err := s.step(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]uint64{1, 1, 1, 2, 3}, told); diff != "" {
		t.Error(diff)
	}
}

// TestServe talks to a process in ways that the miner does not.
func TestServe(t *testing.T) {
	open := wire.Request{Open: &wire.Open{Backend: wire.OpenCL, LaunchMicros: 1000, Throttle: 1}}
	for name, x := range map[string]struct {
		requests []wire.Request
		device   *tape
		want     string
	}{
		"no such back end":        {[]wire.Request{{List: &wire.List{Backend: "glide"}}}, nil, `there is no back end "glide"`},
		"a search with no device": {[]wire.Request{{Search: &wire.Search{}}}, nil, "no device is open"},
		"two devices":             {[]wire.Request{open, open}, nil, "a device is open already"},
		"a device that fails":     {[]wire.Request{open}, &tape{err: errors.New("it burns")}, "opening the device: it burns"},
		"another device":          {[]wire.Request{{Open: &wire.Open{Backend: wire.OpenCL, ID: "record", LaunchMicros: 1, Throttle: 1}}}, nil, "the device record is not where it was any more"},
		"no throttle":             {[]wire.Request{{Open: &wire.Open{Backend: wire.OpenCL, LaunchMicros: 1}}}, nil, "make no sense"},
	} {
		t.Run(name, func(t *testing.T) {
			device := x.device
			if device == nil {
				device = new(tape)
			}
			in, theirs := io.Pipe()
			replies, out := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				ended <- Process{Backends: map[string]driver.Backend{wire.OpenCL: device}, In: in, Out: out}.Serve()
				_ = in.Close()
				_ = out.Close()
			}()
			go func() {
				for _, r := range x.requests {
					if wire.Write(theirs, r) != nil {
						return // as it has ended
					}
				}
			}()
			for {
				reply, err := wire.Read[wire.Reply](replies)
				if err != nil {
					t.Fatalf("it ends without saying why: %v", err)
				}
				if reply.Failure != nil {
					if !strings.Contains(reply.Failure.Message, x.want) {
						t.Errorf("got %q, want %q", reply.Failure.Message, x.want)
					}
					break
				}
			}
			if err := <-ended; err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
