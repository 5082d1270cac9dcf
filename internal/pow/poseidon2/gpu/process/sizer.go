package process

import "time"

// sizer chooses how many nonces a launch has, so that it takes about as long as it may: long
// launches cost less for each nonce, and short ones end soon when the job changes, and
// when a display wants the device.
type sizer struct {
	target time.Duration
	size   uint32
	last   time.Duration // what a launch of this size should take; 0 is not known
}

// Sizes are multiples of sizeUnit, which is a multiple of what devices evaluate at a time.
const (
	sizeUnit    = 1 << 10
	firstSize   = 4 * sizeUnit
	largestSize = 1 << 30
)

func newSizer(target time.Duration) sizer { return sizer{target: target, size: firstSize} }

// took learns from a launch of the size. A single one may have taken long for reasons of
// its own: so the size follows by half of the way down, and to four times what it was up.
func (s *sizer) took(d time.Duration) {
	d = max(d, time.Microsecond)
	ratio := float64(s.target) / float64(d)
	switch {
	case ratio > 0.9 && ratio < 1.1:
		s.last = d
		return
	case ratio < 1:
		ratio = (1 + ratio) / 2
	default:
		ratio = min(ratio, 4)
	}
	size := uint32(min(float64(s.size)*ratio, largestSize)) / sizeUnit * sizeUnit
	size = max(size, sizeUnit)
	s.last = time.Duration(float64(d) * float64(size) / float64(s.size))
	s.size = size
}
