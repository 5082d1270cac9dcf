package main

import (
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/qpow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// verifyCmd checks a nonce by the reference rule alone.
type verifyCmd struct {
	Header    headerFlag     `required:"" placeholder:"HEX" help:"Mining hash: 64 hex digits."`
	Nonce     nonceFlag      `required:"" placeholder:"HEX" help:"Nonce: 1 to 128 hex digits."`
	Threshold *thresholdFlag `placeholder:"DECIMAL" help:"Largest distance of a valid nonce, in decimal, below 2^512. Without it any distance is accepted."`
	JSON      bool           `name:"json" help:"Print one JSON object."`
}

// Help is what --help says beyond the summary.
func (c *verifyCmd) Help() string {
	return "Nonce 0 is never valid.\n\nExit code 0: valid, or no threshold given. 1: not valid."
}

// verifyResult is the result in JSON. Numbers are in hex, of 128 digits.
type verifyResult struct {
	Valid    bool   `json:"valid"`
	Distance string `json:"distance"`
	M        string `json:"m"`
	N        string `json:"n"`
	Target   string `json:"target"`
}

// Run verifies.
func (c *verifyCmd) Run(s streams) error {
	threshold := u512.Max()
	if c.Threshold != nil {
		threshold = u512.Uint(*c.Threshold)
	}
	reference := qpow.NewReference(c.Header)
	distance, valid := reference.Verify(u512.Uint(c.Nonce), threshold)
	result := verifyResult{
		Valid:    valid,
		Distance: distance.PaddedHex(),
		M:        fmt.Sprintf("%0128x", reference.M),
		N:        fmt.Sprintf("%0128x", reference.N),
		Target:   reference.Target.PaddedHex(),
	}
	if err := c.print(s, result); err != nil {
		return exitError{exitNoAnswer, err}
	}
	if !valid && c.Threshold != nil {
		return exitError{code: exitNo}
	}
	return nil
}

func (c *verifyCmd) print(s streams, r verifyResult) error {
	if c.JSON {
		return printJSON(s.out, r)
	}
	verdict := "not valid"
	switch {
	case r.Valid && c.Threshold == nil:
		verdict = "valid for any threshold not below this distance"
	case r.Valid:
		verdict = "valid"
	case u512.Uint(c.Nonce).IsZero():
		verdict = "not valid: nonce 0 never is"
	}
	_, err := fmt.Fprintf(s.out, "m         %s\nn         %s\ntarget    %s\ndistance  %s\n%s\n", r.M, r.N, r.Target, r.Distance, verdict)
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
