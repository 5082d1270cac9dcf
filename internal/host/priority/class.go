package priority

import (
	"errors"
	"fmt"
)

// Class is how readily a thread gives way. The zero value is [Low].
//
// On Linux it counts among the threads of one control group. Between services, or
// containers, the weights of their groups decide.
type Class int

// The classes.
const (
	// Low is nicer than the rest of the process by 10, as much as the command nice
	// has it, and gives way to what answers.
	//
	// The nicer the thread, the surer it gives way: one as nice as the others keeps
	// its core until a slice ends, and a tick of the clock (4 ms at 250 Hz) notices
	// it. But the less it computes, too, beside another program that wants the same
	// core: a tenth of what that does. And the longer it keeps the process waiting
	// where Go stops all threads, for which each has to get a core once more: with
	// every core taken by other programs 0.1 to 0.3 s at 10, and half a second and
	// more at 19 or as Idle, which win a millisecond at best while nothing else runs.
	Low Class = iota

	// Idle takes what no other program wants, which is SCHED_IDLE: beside one that
	// wants the same core a thread gets a few thousandths. It is for a machine
	// whose other programs shall not notice, and whose answers may be late while
	// those take every core, for the reason given at Low.
	Idle

	// Normal is the priority of the rest of the process: threads keep their part of
	// a core beside other programs, and do not give way to what answers.
	Normal
)

// String returns the name of a class.
func (c Class) String() string {
	switch c {
	case Low:
		return "low"
	case Idle:
		return "idle"
	case Normal:
		return "normal"
	}
	return fmt.Sprintf("Class(%d)", int(c))
}

// check returns an error if c is none of the classes.
func (c Class) check() error {
	if c < Low || c > Normal {
		return errors.New("must be idle, low or normal")
	}
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (c Class) MarshalText() ([]byte, error) {
	return []byte(c.String()), c.check()
}

// UnmarshalText implements [encoding.TextUnmarshaler]. If it fails c stays as it was.
func (c *Class) UnmarshalText(text []byte) error {
	read := Low
	for read <= Normal && read.String() != string(text) {
		read++
	}
	if err := read.check(); err != nil {
		return err
	}
	*c = read
	return nil
}
