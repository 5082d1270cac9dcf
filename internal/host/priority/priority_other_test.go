//go:build !linux

package priority

import (
	"errors"
	"strings"
	"testing"
)

// TestUnsupported asks for the default, which must do, and for what there is not.
func TestUnsupported(t *testing.T) {
	one := setOf(t, "0")
	for _, test := range []struct {
		class                 Class
		cpus                  CPUSet
		classFails, cpusFails bool
	}{
		{Low, CPUSet{}, false, false},
		{Idle, CPUSet{}, true, false},
		{Normal, CPUSet{}, true, false},
		{Low, one, false, true},
		{Idle, one, true, true},
	} {
		err := Enter(test.class, test.cpus)
		if fails := test.classFails || test.cpusFails; (err != nil) != fails || errors.Is(err, errors.ErrUnsupported) != fails {
			t.Errorf("%v on %q: the error is %v", test.class, test.cpus, err)
		}
		if err != nil && (strings.Contains(err.Error(), "priority") != test.classFails || strings.Contains(err.Error(), "affinity") != test.cpusFails) {
			t.Errorf("%v on %q: the error is %v; it is the class: %t, the CPUs: %t", test.class, test.cpus, err, test.classFails, test.cpusFails)
		}
	}
	if err := one.Check(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error of %q is %v", one, err)
	}
	if err := (CPUSet{}).Check(); err != nil {
		t.Errorf("no CPUs are refused: %v", err)
	}
}
