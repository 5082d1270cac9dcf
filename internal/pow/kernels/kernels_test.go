package kernels

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

type kernel = Kernel[struct{}, struct{}]

// named is an engine that is good for its name alone.
type named string

func (named) Name() string      { return "named" }
func (n named) Backend() string { return string(n) }
func (named) Prepare([32]byte, u512.Uint) (engine.Job, error) {
	panic("nothing is prepared here")
}

// TestByTime has kernels take, in a time that stands still otherwise, so long for a turn.
func TestByTime(t *testing.T) {
	type turn struct {
		time   time.Duration
		nonces int
	}
	for name, c := range map[string]struct {
		turns []turn
		want  []int
	}{
		"in order":           {[]turn{{time.Second, 20}, {time.Second, 12}, {time.Second, 4}}, []int{0, 1, 2}},
		"out of order":       {[]turn{{time.Second, 4}, {time.Second, 12}}, []int{1, 0}},
		"longer, for more":   {[]turn{{time.Second, 1}, {2 * time.Second, 3}}, []int{1, 0}},
		"as they were given": {[]turn{{time.Second, 1}, {2 * time.Second, 2}}, []int{0, 1}},
		"within the margin":  {[]turn{{100 * time.Second, 1}, {96 * time.Second, 1}}, []int{0, 1}},
		"beyond the margin":  {[]turn{{100 * time.Second, 1}, {94 * time.Second, 1}}, []int{1, 0}},
		"in front of some":   {[]turn{{3 * time.Second, 2}, {2 * time.Second, 1}, {time.Second, 1}, {3 * time.Second, 2}}, []int{2, 0, 3, 1}},
		"none":               {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var list, want []string
				var given []kernel
				for i := range c.turns {
					given = append(given, kernel{Name: strconv.Itoa(i)})
					want = append(want, strconv.Itoa(c.want[i]))
				}
				sorted := ByTime(given, func(k kernel) (func(), int) {
					i, _ := strconv.Atoi(k.Name)
					return func() { <-time.After(c.turns[i].time) }, c.turns[i].nonces
				})
				for _, k := range sorted {
					list = append(list, k.Name)
				}
				if !slices.Equal(list, want) {
					t.Errorf("got %v, want %v", list, want)
				}
			})
		})
	}
	only := []kernel{{Name: "only"}}
	ByTime(only, func(kernel) (func(), int) {
		t.Error("the only kernel is measured")
		return func() {}, 1
	})
}

func TestEngines(t *testing.T) {
	list := []kernel{{Name: "wide"}, {Name: "narrow"}, {Name: "portable"}}
	for fastest, want := range map[string][]engine.Engine{
		"":         {named("wide"), named("narrow"), named("portable")},
		"wide":     {named("wide"), named("narrow"), named("portable")},
		"narrow":   {named("narrow"), named("portable")},
		"portable": {named("portable")},
	} {
		got, err := Engines(list, fastest, func(k kernel) engine.Engine { return named(k.Name) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", fastest, got, err, want)
		}
	}
	for _, fastest := range []string{"mmx", "Wide", "wide "} {
		got, err := Engines(list, fastest, func(k kernel) engine.Engine { return named(k.Name) })
		if err == nil || !strings.Contains(err.Error(), "wide, narrow, portable") {
			t.Errorf("%q: got %v, %v, want an error that lists the kernels", fastest, got, err)
		}
	}
}

func TestSupported(t *testing.T) {
	got := Supported(kernel{Name: "wide"}, kernel{Name: "narrow", Runs: true}, kernel{Name: "odd"}, kernel{Name: "portable", Runs: true})
	if len(got) != 2 || got[0].Name != "narrow" || got[1].Name != "portable" {
		t.Errorf("got %v", got)
	}
}
