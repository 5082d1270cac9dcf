package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// same writes messages and reads them back.
func same[M Request | Reply](t *testing.T, messages ...M) {
	t.Helper()
	var pipe bytes.Buffer
	for _, m := range messages {
		if err := Write(&pipe, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range messages {
		got, err := Read[M](&pipe)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := Read[M](&pipe); err != io.EOF {
		t.Errorf("at the end: %v, want %v", err, io.EOF)
	}
}

func TestMessages(t *testing.T) {
	full := make([]uint32, MaxFound)
	for i := range full {
		full[i] = 1<<32 - 1
	}
	same(t,
		Request{List: &List{Backend: CUDA}},
		Request{Open: &Open{Backend: OpenCL, Ordinal: 3, ID: "x", LaunchMicros: 25000, Throttle: 0.5, Fresh: true}},
		Request{Search: &Search{ID: 1<<64 - 1, Header: [32]byte{1, 31: 2}, Start: u512.From64(1<<64 - 1), End: u512.Max(), Limit: 1<<64 - 1}},
		Request{Stop: &Stop{}},
	)
	same(t,
		Reply{Hello: &Hello{Protocol: Version, Program: "v1", Kernel: "ab"}},
		Reply{Devices: &Devices{Devices: []Device{{Backend: CUDA, Name: "a card", Kind: Discrete, MemoryBytes: 1 << 40, Usable: true}}, Problem: "?"}},
		Reply{Opened: &Opened{Kernel: "PTX"}},
		Reply{Batch: &Batch{ID: 7, Count: 1 << 32, Found: full, Micros: 25000, Queued: 1}},
		Reply{Failure: &Failure{Message: strings.Repeat("x", 4000)}},
	)
}

func TestTooLong(t *testing.T) {
	if err := Write(io.Discard, Reply{Failure: &Failure{Message: strings.Repeat("x", MaxMessage)}}); err == nil {
		t.Error("a message that is too long was written")
	}
}

func TestBroken(t *testing.T) {
	frame := func(length uint32, text string) string {
		return string(binary.LittleEndian.AppendUint32(nil, length)) + text
	}
	for name, input := range map[string]string{
		"half a length":      "\x01\x00",
		"too long":           frame(MaxMessage+1, strings.Repeat(" ", MaxMessage+1)),
		"less than it says":  frame(10, "{}"),
		"no JSON":            frame(3, "abc"),
		"empty":              frame(0, ""),
		"of another version": frame(12, `{"music":{}}`),
	} {
		if m, err := Read[Reply](strings.NewReader(input)); err == nil || errors.Is(err, io.EOF) && err == io.EOF {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var text bytes.Buffer
	for _, m := range []Reply{{Hello: &Hello{Protocol: 1}}, {Batch: &Batch{ID: 1, Count: 2, Found: []uint32{1}}}} {
		if err := Write(&text, m); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bytes.NewReader(input)
		for {
			m, err := Read[Reply](r)
			if err != nil {
				return
			}
			var again bytes.Buffer
			if err := Write(&again, m); err != nil {
				t.Fatal(err)
			}
			if back, err := Read[Reply](&again); err != nil || !cmp.Equal(back, m) {
				t.Fatalf("%+v comes back as %+v, %v", m, back, err)
			}
		}
	})
}
