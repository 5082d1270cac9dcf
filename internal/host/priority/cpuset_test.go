package priority

import (
	"strings"
	"testing"
)

func TestCPUSet(t *testing.T) {
	for list, want := range map[string]struct {
		text string
		len  int
	}{
		"0":               {"0", 1},
		"0-3,8":           {"0-3,8", 5},
		" 0-3, 8 ":        {"0-3,8", 5},
		"8,3,0-2":         {"0-3,8", 5},
		"5-5":             {"5", 1},
		"1,1,0-1":         {"0-1", 2},
		"0-3,2-5":         {"0-5", 6},
		"0,2,4":           {"0,2,4", 3},
		"007":             {"7", 1},
		"62-65,127-128":   {"62-65,127-128", 6}, // across words
		"1023":            {"1023", 1},
		"0,1022-1023":     {"0,1022-1023", 3},
		"0-1023":          {"0-1023", 1024},
		"0-1023,5,9-1000": {"0-1023", 1024},
	} {
		var got CPUSet
		if err := got.UnmarshalText([]byte(list)); err != nil || got.String() != want.text || got.Len() != want.len {
			t.Errorf("%q is read as %q, %d CPUs (%v), want %q, %d", list, got, got.Len(), err, want.text, want.len)
		}
	}

	if none := (CPUSet{}); none.Len() != 0 || none.String() != "" {
		t.Errorf("the zero value is %q, %d CPUs, want none", none, none.Len())
	}

	const (
		mustBe    = "must be a list of CPUs such as 0-3,8"
		noneAbove = mustBe + ", none above 1023"
		ascending = mustBe + ", each range in ascending order"
	)
	before := setOf(t, "7")
	for list, want := range map[string]string{
		"":                       mustBe,
		",":                      mustBe,
		"1,":                     mustBe,
		",1":                     mustBe,
		"1,,2":                   mustBe,
		"-":                      mustBe,
		"-1":                     mustBe,
		"1-":                     mustBe,
		"1--2":                   mustBe,
		"1-2-3":                  mustBe,
		"+1":                     mustBe,
		"0x1":                    mustBe,
		"1_0":                    mustBe,
		"all":                    mustBe,
		"0 1":                    mustBe,
		"0 -1":                   mustBe,
		"0;1":                    mustBe,
		"0-8:2":                  mustBe,
		"٣":                      mustBe,
		"1024":                   noneAbove,
		"0-1024":                 noneAbove,
		"1024-0":                 noneAbove,
		"0-99999999999":          noneAbove,
		"4294967296":             noneAbove, // 0, if it were cut to 32 bits
		"0-18446744073709551616": noneAbove, // 0, if it were cut to 64 bits
		"3-0":                    ascending,
		"0-3,9-8":                ascending,
	} {
		got := before
		if err := got.UnmarshalText([]byte(list)); err == nil || err.Error() != want || got != before {
			t.Errorf("%q is read as %q, and the error is %v; want %q, as it was, and %s", list, got, err, before, want)
		}
	}
}

// setOf returns the set of a list.
func setOf(t *testing.T, list string) (s CPUSet) {
	t.Helper()
	if err := s.UnmarshalText([]byte(list)); err != nil {
		t.Fatalf("%q: %v", list, err)
	}
	return s
}

// FuzzCPUSet reads lists. What is a list has a canonical form that is read as the
// same set, and is no longer than it; what is none is refused in a few words.
func FuzzCPUSet(f *testing.F) {
	for _, seed := range []string{"", "0", "0-3,8", "1023", "3-0", "0-99999999999", "0-18446744073709551616", "1,,2", "62-65", "1,0,1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		var s CPUSet
		if err := s.UnmarshalText(list); err != nil {
			if s != (CPUSet{}) || !strings.HasPrefix(err.Error(), "must be a list of CPUs") || len(err.Error()) > 80 {
				t.Errorf("%q is read as %q, and the error is %v", list, s, err)
			}
			return
		}
		canonical := s.String()
		if again := setOf(t, canonical); again != s || again.String() != canonical {
			t.Errorf("%q is read as %q, and that as %q", list, canonical, again)
		}
		if s.Len() < 1 || s.Len() > 1024 || len(canonical) > len(list) {
			t.Errorf("%q is read as %q, %d CPUs", list, canonical, s.Len())
		}
	})
}
