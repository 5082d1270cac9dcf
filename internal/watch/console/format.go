package console

import (
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// Rate writes hashes per second: 1.9 MH/s.
func Rate(perSecond float64) string { return humanize.SIWithDigits(perSecond, 2, "H/s") }

// Count writes a number: 1,234,567.
func Count(n uint64) string { return humanize.BigComma(new(big.Int).SetUint64(n)) }

// SI writes a number that may be large with a prefix of its unit: 4.29 T. Beyond the
// prefixes that people know it is a power of ten.
func SI(x float64) string {
	if x >= 1e21 {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', 2, 64), "e+")
		if exponent == "" {
			return mantissa // infinite
		}
		return mantissa + "e" + exponent
	}
	return strings.TrimSpace(humanize.SIWithDigits(x, 2, ""))
}

// Effort writes work in proportion to what it takes: 42 %, 3.1 x.
func Effort(effort float64) string {
	if effort < 10 {
		return fmt.Sprintf("%.0f %%", effort*100)
	}
	return fmt.Sprintf("%.0fx", effort)
}

// Short writes a time that has just passed, or will in a moment: 0.3 ms, 1.2 s.
func Short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case d < 100*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return clock(d)
	}
}

// Long writes a number of seconds that nobody knows exactly, and that may be more than
// anybody lives to see: about 31 min.
func Long(seconds float64) string {
	const minute, hour, day, year = 60, 3600, 86400, 365.25 * 86400
	switch {
	case seconds < 0.95:
		return fmt.Sprintf("about %.2g s", seconds)
	case seconds < 99.5:
		return fmt.Sprintf("about %.0f s", seconds)
	case seconds < 99.5*minute:
		return fmt.Sprintf("about %.0f min", seconds/minute)
	case seconds < 47.5*hour:
		return fmt.Sprintf("about %.0f h", seconds/hour)
	case seconds < 2*year:
		return fmt.Sprintf("about %.0f days", seconds/day)
	case seconds < 1000*year:
		return fmt.Sprintf("about %.0f years", seconds/year)
	default:
		return "more than 1000 years"
	}
}

// clock writes a time as a clock does: 0:09, 26:10:09.
func clock(d time.Duration) string {
	s := int64(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// forPeople writes rates and counts of records that are not known in human units, and
// shortens what is too long for a line and too dull to be read: the log as JSON has it
// in full.
func forPeople(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "hashes":
		if a.Value.Kind() == slog.KindUint64 {
			return slog.String(a.Key, Count(a.Value.Uint64()))
		}
	case "header", "start", "end", "nonce":
		return slog.String(a.Key, shorten(a.Value.String(), 8))
	case "job": // nodes send 36 characters
		return slog.String(a.Key, printable(shorten(a.Value.String(), 30)))
	}
	if name, ok := strings.CutPrefix(a.Key, "hash_rate"); ok {
		text := "–" // not known yet
		if a.Value.Kind() == slog.KindFloat64 {
			text = Rate(a.Value.Float64())
		}
		if name = strings.TrimPrefix(name, "_"); name == "" {
			name = "rate"
		}
		return slog.String(name, text)
	}
	return harmless(a)
}

// harmless replaces what could paint on the operator's terminal: job IDs, and errors
// that quote them, come from strangers.
func harmless(a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case string:
		return slog.String(a.Key, printable(value))
	case error:
		return slog.String(a.Key, printable(value.Error()))
	}
	return a
}

// printable replaces control characters and the like.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// shorten keeps so many characters of each end of a text, if that is much shorter.
func shorten(text string, ends int) string {
	runes := []rune(text)
	if len(runes) <= 3*ends {
		return text
	}
	return string(runes[:ends]) + "…" + string(runes[len(runes)-ends:])
}
