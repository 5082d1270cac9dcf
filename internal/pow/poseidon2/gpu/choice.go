package gpu

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Choice says which devices to mine on. The zero value is none.
type Choice struct {
	// Auto is every discrete GPU that is usable, or every integrated one if there is no other.
	Auto bool
	// All is every GPU that is usable, discrete or integrated.
	All bool
	// Numbers are devices by their places in the list, of whatever kind. They count if
	// neither Auto nor All is set.
	Numbers []int
}

// maxNumber bounds the number of a device.
const maxNumber = 255

// ParseChoice reads a choice: auto, none, all, or numbers of devices, such as 0,2.
func ParseChoice(text string) (Choice, error) {
	switch text {
	case "auto":
		return Choice{Auto: true}, nil
	case "all":
		return Choice{All: true}, nil
	case "none":
		return Choice{}, nil
	}
	var c Choice
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || n > maxNumber {
			return Choice{}, errors.New("must be auto, none, all, or the numbers of devices, separated by commas, as the command devices lists them")
		}
		if slices.Contains(c.Numbers, n) {
			return Choice{}, fmt.Errorf("has device %d twice", n)
		}
		c.Numbers = append(c.Numbers, n)
	}
	return c, nil
}

// None reports whether no device is chosen, whatever devices there are.
func (c Choice) None() bool { return !c.Auto && !c.All && len(c.Numbers) == 0 }

// Named reports whether devices are chosen by their numbers: it is an error then if one of
// them is not there.
func (c Choice) Named() bool { return !c.Auto && !c.All && len(c.Numbers) > 0 }

// Of returns the numbers of the devices that are chosen from a list, ascending, and an error
// if one that is named is not there or not usable. With integrated set, integrated GPUs
// count as discrete ones do.
func (c Choice) Of(devices []wire.Device, integrated bool) (numbers []int, err error) {
	if c.Named() {
		for _, n := range slices.Sorted(slices.Values(c.Numbers)) {
			if n >= len(devices) {
				return nil, fmt.Errorf("there is no device %d: there are %d", n, len(devices))
			}
			if d := devices[n]; !d.Usable {
				return nil, fmt.Errorf("device %d, %s, is not usable: %s", n, d.Name, d.Reason)
			}
			numbers = append(numbers, n)
		}
		return numbers, nil
	}
	if c.None() {
		return nil, nil
	}
	of := func(kinds ...wire.Kind) (numbers []int) {
		for i, d := range devices {
			if d.Usable && slices.Contains(kinds, d.Kind) {
				numbers = append(numbers, i)
			}
		}
		return numbers
	}
	if c.All || integrated {
		return of(wire.Discrete, wire.Integrated), nil
	}
	if numbers = of(wire.Discrete); len(numbers) == 0 {
		numbers = of(wire.Integrated)
	}
	return numbers, nil
}
