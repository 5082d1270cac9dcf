package priority

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// maxCPU is the highest CPU that a set holds: what the C library's cpu_set_t and
// [golang.org/x/sys/unix.CPUSet] have room for.
const maxCPU = 1023

// CPUSet is a set of CPUs by the operating system's numbers, 0 to 1023. The zero
// value has none, and restricts nothing. Sets can be compared with ==.
type CPUSet struct {
	words [(maxCPU + 1) / 64]uint64 // CPU 0 is the lowest bit of the first
}

// add adds a CPU from 0 to maxCPU.
func (s *CPUSet) add(cpu int) { s.words[cpu/64] |= 1 << (cpu % 64) }

// has reports whether cpu, from 0 to maxCPU, is in the set.
func (s *CPUSet) has(cpu int) bool { return s.words[cpu/64]>>(cpu%64)&1 == 1 }

// Len returns the number of CPUs in the set.
func (s CPUSet) Len() (n int) {
	for _, word := range s.words {
		n += bits.OnesCount64(word)
	}
	return n
}

// String returns the CPUs as the shortest list in ascending order, such as 0-3,8;
// for an empty set the empty string.
func (s CPUSet) String() string {
	var list []byte
	for first := 0; first <= maxCPU; first++ {
		if !s.has(first) {
			continue
		}
		last := first
		for last < maxCPU && s.has(last+1) {
			last++
		}
		if len(list) > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, int64(first), 10)
		if last > first {
			list = append(list, '-')
			list = strconv.AppendInt(list, int64(last), 10)
		}
		first = last
	}
	return string(list)
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads a list of numbers
// and of ranges that include their ends, such as 0-3,8, in any order, in which a
// CPU may come more than once. An empty text is an error: a variable that is empty
// by mistake must not mean every CPU. If it fails s stays as it was.
func (s *CPUSet) UnmarshalText(text []byte) error {
	var read CPUSet
	for item := range strings.SplitSeq(string(text), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
		first, err := parseCPU(from)
		if err != nil {
			return err
		}
		last := first
		if isRange {
			if last, err = parseCPU(to); err != nil {
				return err
			}
		}
		if last < first {
			return errors.New("must be a list of CPUs such as 0-3,8, each range in ascending order")
		}
		for cpu := first; cpu <= last; cpu++ {
			read.add(cpu)
		}
	}
	*s = read
	return nil
}

// parseCPU reads a CPU from 0 to maxCPU. Its error says what the list must be.
func parseCPU(text string) (int, error) {
	x, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err == nil && x > maxCPU, errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("must be a list of CPUs such as 0-3,8, none above %d", maxCPU)
	case err != nil:
		return 0, errors.New("must be a list of CPUs such as 0-3,8")
	}
	return int(x), nil
}

// Check returns an error if there are CPUs in the set that the process may not
// use; it says which it may use. What it may use is what the calling thread may,
// so that it is to be asked by a goroutine that has not called [Enter]. On other
// systems than Linux every set but the empty one is wrong, and the error is an
// [errors.ErrUnsupported].
func (s CPUSet) Check() error {
	if s == (CPUSet{}) {
		return nil
	}
	usable, err := usableCPUs()
	if err != nil {
		return err
	}
	rest := s
	for i, word := range usable.words {
		rest.words[i] &^= word
	}
	if rest != (CPUSet{}) {
		return fmt.Errorf("must be CPUs that this process may use: %v, and not %v", usable, rest)
	}
	return nil
}
