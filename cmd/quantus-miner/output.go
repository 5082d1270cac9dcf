package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// printJSON writes v as one JSON object on one line. Who asks for that wants to read it:
// that nobody can, as standard output is closed, is an error.
func printJSON(w io.Writer, v any) error {
	if f, ok := w.(*os.File); ok && wasClosed(f) {
		return errors.New("writing the result: standard output is closed")
	}
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
	return console.Rate(float64(hashes) / seconds)
}
