package gpu

import (
	"slices"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

func TestChoice(t *testing.T) {
	d := func(kind wire.Kind, usable bool) wire.Device {
		return wire.Device{Name: "x", Kind: kind, Usable: usable, Reason: "of no use"}
	}
	card, broken, shared, cpu := d(wire.Discrete, true), d(wire.Discrete, false), d(wire.Integrated, true), d(wire.CPU, true)
	mixed := []wire.Device{shared, card, broken, cpu, card}
	for name, x := range map[string]struct {
		choice     string
		devices    []wire.Device
		integrated bool
		want       []int
		err        string
	}{
		"discrete ones":           {"auto", mixed, false, []int{1, 4}, ""},
		"integrated ones allowed": {"auto", mixed, true, []int{0, 1, 4}, ""},
		"integrated ones alone":   {"auto", []wire.Device{cpu, shared, broken}, false, []int{1}, ""},
		"no GPU":                  {"auto", []wire.Device{cpu}, true, nil, ""},
		"no device":               {"auto", nil, false, nil, ""},
		"all":                     {"all", mixed, false, []int{0, 1, 4}, ""},
		"none":                    {"none", mixed, true, nil, ""},
		"named":                   {"4, 0", mixed, false, []int{0, 4}, ""},
		"a CPU, named":            {"3", mixed, false, []int{3}, ""},
		"not there":               {"0,5", mixed, false, nil, "there is no device 5: there are 5"},
		"not usable":              {"2", mixed, false, nil, "device 2, x, is not usable: of no use"},
	} {
		c, err := ParseChoice(x.choice)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Of(x.devices, x.integrated)
		if !slices.Equal(got, x.want) || (err != nil) != (x.err != "") || err != nil && err.Error() != x.err {
			t.Errorf("%s: got %v, %v, want %v, %s", name, got, err, x.want, x.err)
		}
	}
	for text, want := range map[string]string{
		"": "must be auto", "-1": "must be auto", "0,": "must be auto", "256": "must be auto", "gpu0": "must be auto", "none,1": "must be auto", "1,1": "twice",
	} {
		if c, err := ParseChoice(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
}
