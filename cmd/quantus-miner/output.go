package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"

	"github.com/dustin/go-humanize"
)

// printJSON writes v as one JSON object on one line.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// rate writes hashes per second for people: 1.9 MH/s.
func rate(hashes uint64, seconds float64) string {
	if seconds <= 0 {
		return "– H/s"
	}
	return hashRate(float64(hashes) / seconds)
}

// hashRate writes a rate for people.
func hashRate(perSecond float64) string { return humanize.SIWithDigits(perSecond, 2, "H/s") }

// count writes a number for people: 1,234,567.
func count(n uint64) string { return humanize.BigComma(new(big.Int).SetUint64(n)) }
