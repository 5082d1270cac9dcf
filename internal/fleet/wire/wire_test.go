package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

const id = "0123456789abcdef0123456789abcdef"

// largest returns a message of each kind that is as large as it may be.
func largest() map[string]Message {
	text := strings.Repeat("ü", MaxText/2)
	engines := make([]Engine, MaxEngines)
	for i := range engines {
		engines[i] = Engine{Name: "cpu-baseline", Backend: "avx512", Device: "NVIDIA GeForce RTX 5090"}
	}
	leases, numbers := make([]Progress, MaxLeases), make([]uint64, MaxLeases)
	for i := range leases {
		numbers[i] = ^uint64(0)
		leases[i] = Progress{Number: ^uint64(0), Done: MaxLeaseSize, Tried: MaxLeaseSize, End: Exhausted, Error: text}
	}
	jobs := make([]uint64, MaxJobs)
	for i := range jobs {
		jobs[i] = ^uint64(0)
	}
	most := u512.Max()
	lease := &Lease{
		Number: ^uint64(0), Job: ^uint64(0), Name: text, PoW: text, Threshold: Threshold(most), GoOn: true,
		Start: Nonce(most.SubWrap(u512.From64(MaxLeaseSize - 1))), End: Nonce(most),
	}
	return map[string]Message{
		"hello":   Hello{Wire: Version, Name: text, Version: text, PoW: text, Threads: MaxThreads, Engines: engines},
		"welcome": Welcome{Wire: Version, Hub: id, Error: strings.Repeat("ü", MaxReason/2), Final: true},
		"orders":  Orders{Hub: id, Out: numbers, Lease: lease},
		"beacon":  Beacon{Hub: id, Jobs: jobs, Upto: ^uint64(0)},
		"report":  Report{Hub: id, State: Leaving, Leases: leases},
		"found":   Found{Hub: id, Job: ^uint64(0), Threshold: Threshold(most), Nonce: Nonce(most), Leases: leases},
		"verdict": Verdict{Hub: id, Result: Taken},
		"rival":   Rival{Hub: id, Address: text, Started: 1 << 62},
	}
}

// decoders read each kind of message.
var decoders = map[string]func([]byte) (Message, error){
	"hello":   decoder[Hello],
	"welcome": decoder[Welcome],
	"orders":  decoder[Orders],
	"beacon":  decoder[Beacon],
	"report":  decoder[Report],
	"found":   decoder[Found],
	"verdict": decoder[Verdict],
	"rival":   decoder[Rival],
}

func decoder[M Message](text []byte) (Message, error) { return Decode[M](text) }

// TestLargest has the largest messages fit, and come through as they were.
func TestLargest(t *testing.T) {
	for kind, m := range largest() {
		text, err := Encode(m)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		back, err := decoders[kind](text)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if !reflect.DeepEqual(back, m) {
			t.Errorf("%s: %s", kind, cmp.Diff(m, back))
		}
	}
}

// TestForms holds the messages to the forms that docs/fleet.md describes.
func TestForms(t *testing.T) {
	zeros := strings.Repeat("0", 127)
	lease := &Lease{Number: 7, Job: 3, Name: "a", PoW: "poseidon2", Header: Hash{0xab}, Threshold: Threshold(u512.From64(1000)), Start: Nonce(u512.From64(1)), End: Nonce(u512.From64(10))}
	for want, m := range map[string]Message{
		`{"wire":1,"name":"rig7","version":"1.2.3","pow":"poseidon2","threads":8,"engines":[{"name":"cpu-simd","backend":"avx512"}]}`: Hello{Wire: 1, Name: "rig7", Version: "1.2.3", PoW: "poseidon2", Threads: 8, Engines: []Engine{{Name: "cpu-simd", Backend: "avx512"}}},
		`{"wire":1,"hub":"` + id + `","name":"rig7"}`: Welcome{Wire: 1, Hub: id, Name: "rig7"},
		`{"hub":"` + id + `","out":[6,7],"lease":{"number":7,"job":3,"name":"a","pow":"poseidon2","mining_hash":"ab` + zeros[:62] + `","threshold":"1000","nonce_start":"` + zeros + `1","nonce_end":"` + zeros + `a"}}`: Orders{Hub: id, Out: []uint64{6, 7}, Lease: lease},
		`{"hub":"` + id + `","jobs":[3],"upto":3}`: Beacon{Hub: id, Jobs: []uint64{3}, Upto: 3},
		`{"hub":"` + id + `","state":"able","leases":[{"number":7,"done":4,"tried":5},{"number":6,"done":9,"tried":9,"end":"exhausted"}]}`:                         Report{Hub: id, State: Able, Leases: []Progress{{Number: 7, Done: 4, Tried: 5}, {Number: 6, Done: 9, Tried: 9, End: Exhausted}}},
		`{"hub":"` + id + `","job":3,"mining_hash":"ab` + zeros[:62] + `","threshold":"1000","nonce":"` + zeros + `5","leases":[{"number":7,"done":4,"tried":5}]}`: Found{Hub: id, Job: 3, Header: Hash{0xab}, Threshold: Threshold(u512.From64(1000)), Nonce: Nonce(u512.From64(5)), Leases: []Progress{{Number: 7, Done: 4, Tried: 5}}},
		`{"hub":"` + id + `","result":"taken"}`:                          Verdict{Hub: id, Result: Taken},
		`{"hub":"` + id + `","address":"192.0.2.1:9835","started_ms":5}`: Rival{Hub: id, Address: "192.0.2.1:9835", Started: 5},
	} {
		text, err := Encode(m)
		if err != nil || string(text) != want {
			t.Errorf("%T is\n%s, want\n%s (%v)", m, text, want, err)
		}
	}
}

// TestBounds has messages refused that exceed a bound or make no sense, by who reads them and by who sends them.
func TestBounds(t *testing.T) {
	long := strings.Repeat("a", MaxText+1)
	lease := func(change func(*Lease)) Orders {
		l := Lease{Number: 1, Job: 1, End: Nonce(u512.From64(1))}
		change(&l)
		return Orders{Hub: id, Lease: &l}
	}
	for want, m := range map[string]Message{
		"longer than 120 bytes: \"aaaa":     Hello{Wire: Version, Name: long},
		"a text that is not printable":      Hello{Wire: Version, Version: "\x1b[2J"},
		"of -1 threads":                     Hello{Wire: Version, Threads: -1},
		"of 17 engines":                     Hello{Wire: Version, Engines: make([]Engine, MaxEngines+1)},
		"either a name or an error":         Welcome{Wire: Version, Hub: id},
		"longer than 400 bytes":             Welcome{Wire: Version, Hub: id, Error: strings.Repeat("a", MaxReason+1)},
		"must be 32 lower-case hex digits":  Orders{Hub: strings.ToUpper(id)},
		"orders of 9 leases":                Orders{Hub: id, Out: make([]uint64, MaxLeases+1)},
		"without a number":                  lease(func(l *Lease) { l.Number = 0 }),
		"must have 1 to":                    lease(func(l *Lease) { l.Start = Nonce(u512.From64(2)) }),
		"must have 1 to 281474976710656 no": lease(func(l *Lease) { l.End = Nonce(u512.Max()) }),
		"of 129 jobs":                       Beacon{Hub: id, Jobs: make([]uint64, MaxJobs+1)},
		`the state "dreaming"`:              Report{Hub: id, State: "dreaming"},
		"a report of 9 leases":              Report{Hub: id, State: Able, Leases: make([]Progress, MaxLeases+1)},
		`ended as "somehow"`:                Report{Hub: id, State: Able, Leases: []Progress{{End: "somehow"}}},
		"281474976710657 nonces are done":   Report{Hub: id, State: Able, Leases: []Progress{{Tried: MaxLeaseSize + 1}}},
		`a verdict of "maybe"`:              Verdict{Hub: id, Result: "maybe"},
		"a hub with a text":                 Rival{Hub: id, Address: "\n"},
	} {
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", m, err, want)
		}
		if _, err := Encode(m); err == nil {
			t.Errorf("%+v can be sent", m)
		}
	}
	for name, text := range map[string]string{
		"large":      `{"hub":"` + id + `","jobs":[` + strings.Repeat(" ", MaxMessage) + `]}`,
		"no JSON":    `hub`,
		"no UTF-8":   "{\"hub\":\"\xff\"}",
		"two":        `{} {}`,
		"short hash": `{"hub":"` + id + `","out":[],"lease":{"mining_hash":"ab"}}`,
		"nonce":      `{"hub":"` + id + `","out":[],"lease":{"nonce_start":"1"}}`,
		"negative":   `{"hub":"` + id + `","out":[-1]}`,
	} {
		if _, err := Decode[Orders]([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestSubjects reads back whose a subject is, and keeps workers to their own.
func TestSubjects(t *testing.T) {
	for _, name := range []string{"", "a.b", "a b", "*", ">", strings.Repeat("a", 33), "ü"} {
		if _, err := NewSubjects(name); err == nil {
			t.Errorf("the fleet %q: no error", name)
		}
	}
	s, err := NewSubjects("Fleet_1-a")
	if err != nil {
		t.Fatal(err)
	}
	own := NewID()
	for _, subject := range []string{s.Hello(own), s.Report(own), s.Found(own)} {
		if got, ok := s.Worker(subject); !ok || got != own {
			t.Errorf("%s is of %q, %t", subject, got, ok)
		}
	}
	for _, subject := range []string{s.Hello("*"), s.Orders(own), s.Beacon(), "qm.v1.other.w." + own + ".hello", "qm.v1.Fleet_1-a.w." + own} {
		if got, ok := s.Worker(subject); ok {
			t.Errorf("%s is of %q", subject, got)
		}
	}
	if got := s.WorkerMayPublish(own); !slices.Equal(got, []string{"qm.v1.Fleet_1-a.w." + own + ".*"}) {
		t.Errorf("a worker publishes to %q", got)
	}
	if got := s.WorkerMaySubscribe(own); !slices.Equal(got, []string{"qm.v1.Fleet_1-a.h." + own + ".*", "qm.v1.Fleet_1-a.all.hub", "qm.v1.Fleet_1-a.r." + own + ".>"}) {
		t.Errorf("a worker subscribes to %q", got)
	}
}

// TestNames makes names of whatever operators call their machines.
func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"rig7": "rig7", "Rig_7.lan": "Rig_7.lan", "rig 7": "rig-7", "": "worker", "...": "worker", "äöü": "worker", "-a-": "a",
		"a\nb": "a-b", strings.Repeat("a", 99): strings.Repeat("a", MaxName),
	} {
		if got := MachineName(text); got != want {
			t.Errorf("%q is called %q, want %q", text, got, want)
		}
	}
	if got := Tidy("a\x00b\u202ec\xff"+strings.Repeat("ü", 9), 8); got != "abcüü" {
		t.Errorf("tidy: %q", got)
	}
}

// FuzzDecode reads whatever comes as each kind of message: what is accepted can be sent, and means the same then.
func FuzzDecode(f *testing.F) {
	for _, m := range largest() {
		text, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"wire":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for kind, decode := range decoders {
			m, err := decode(text)
			if err != nil {
				continue
			}
			again, err := Encode(m)
			if err != nil {
				if raw, _ := json.Marshal(m); len(raw) > MaxMessage {
					continue // what was escaped is longer as we escape it
				}
				t.Fatalf("%s: %v", kind, err)
			}
			back, err := decode(again)
			if err != nil {
				t.Fatalf("%s %s: %v", kind, again, err)
			}
			if third, err := Encode(back); err != nil || !bytes.Equal(third, again) {
				t.Fatalf("%s: %s, then %s (%v)", kind, again, third, err)
			}
		}
	})
}

// FuzzNames makes names and texts of whatever comes: they are what they must be, and stay the same.
func FuzzNames(f *testing.F) {
	f.Add("rig 7\x00")
	f.Fuzz(func(t *testing.T, text string) {
		name := MachineName(text)
		if name == "" || len(name) > MaxName || MachineName(name) != name {
			t.Errorf("%q is called %q", text, name)
		}
		if tidy := Tidy(text, MaxText); Tidy(tidy, MaxText) != tidy || len(tidy) > MaxText {
			t.Errorf("%q is tidy as %q", text, tidy)
		}
	})
}
