package main

import (
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// verifyCmd checks a nonce by the reference rule alone.
type verifyCmd struct {
	Header     headerFlag     `required:"" placeholder:"HEX" help:"Mining hash: 64 hex digits."`
	Nonce      nonceFlag      `required:"" placeholder:"HEX" help:"Nonce: 1 to 128 hex digits."`
	Threshold  *thresholdFlag `xor:"threshold" placeholder:"DECIMAL" help:"Largest distance of a valid nonce, in decimal, below 2^512; with --pow poseidon2 the difficulty, and not 0. Without it any distance, or difficulty, is accepted."`
	Difficulty *thresholdFlag `xor:"threshold" placeholder:"DECIMAL" help:"The same, with --pow poseidon2."`
	JSON       bool           `name:"json" help:"Print one JSON object."`
	powFlags
}

// Help is what --help says beyond the summary.
func (c *verifyCmd) Help() string {
	return "With sha3-rsa nonce 0 is never valid. With poseidon2 the distance of a nonce is its hash.\n\n" +
		"Exit code 0: valid, or no threshold given. 1: not valid."
}

// Validate implements the parser's check of the command as a whole.
func (c *verifyCmd) Validate() error {
	_, err := c.threshold(c.Threshold, c.Difficulty)
	return err
}

// any says that no threshold is given.
func (c *verifyCmd) any() bool { return c.Threshold == nil && c.Difficulty == nil }

// Run verifies.
func (c *verifyCmd) Run(s streams) error {
	threshold, err := c.threshold(c.Threshold, c.Difficulty)
	if err != nil {
		return exitError{exitNoAnswer, err}
	}
	verify := c.sha3RSA
	if c.PoW == pow.Poseidon2 {
		verify = c.poseidon2
	}
	valid, err := verify(s, threshold)
	if err != nil {
		return exitError{exitNoAnswer, err}
	}
	if !valid && !c.any() {
		return exitError{code: exitNo}
	}
	return nil
}

// sha3RSAResult is the result in JSON. Numbers are in hex, of 128 digits.
type sha3RSAResult struct {
	Valid    bool   `json:"valid"`    // whether the nonce meets the threshold, or any if none was given
	Distance string `json:"distance"` // the distance of the nonce
	M        string `json:"m"`        // the base that the header gives
	N        string `json:"n"`        // the modulus that the header gives
	Target   string `json:"target"`   // the hashed power of nonce 0, which distances are measured from
}

// sha3RSA verifies by that proof of work, and prints the result.
func (c *verifyCmd) sha3RSA(s streams, threshold u512.Uint) (valid bool, err error) {
	if c.any() {
		threshold = u512.Max()
	}
	reference := sha3rsa.NewReference(c.Header)
	distance, valid := reference.Verify(u512.Uint(c.Nonce), threshold)
	r := sha3RSAResult{
		Valid:    valid,
		Distance: distance.PaddedHex(),
		M:        fmt.Sprintf("%0128x", reference.M),
		N:        fmt.Sprintf("%0128x", reference.N),
		Target:   reference.Target.PaddedHex(),
	}
	if c.JSON {
		return valid, printJSON(s.out, r)
	}
	verdict := "not valid"
	switch {
	case valid && c.any():
		verdict = "valid for any threshold not below this distance"
	case valid:
		verdict = "valid"
	case u512.Uint(c.Nonce).IsZero():
		verdict = "not valid: nonce 0 never is"
	}
	return valid, c.printf(s, "m         %s\nn         %s\ntarget    %s\ndistance  %s\n%s\n", r.M, r.N, r.Target, r.Distance, verdict)
}

// poseidon2Result is the result in JSON: the hash in 128 hex digits, and the difficulty
// that it achieves, in decimal.
type poseidon2Result struct {
	Valid      bool   `json:"valid"`      // whether the nonce meets the difficulty, or any if none was given
	Distance   string `json:"distance"`   // the hash of the nonce
	Difficulty string `json:"difficulty"` // the difficulty that the hash achieves, in decimal
}

// poseidon2 verifies by that proof of work, and prints the result.
func (c *verifyCmd) poseidon2(s streams, difficulty u512.Uint) (valid bool, err error) {
	if c.any() {
		difficulty = u512.From64(1)
	}
	reference, err := poseidon2.NewReference(c.Header, difficulty)
	if err != nil {
		return false, err
	}
	hash, valid := reference.Verify(u512.Uint(c.Nonce))
	r := poseidon2Result{valid, hash.PaddedHex(), poseidon2.Achieved(hash).String()}
	if c.JSON {
		return valid, printJSON(s.out, r)
	}
	verdict := "not valid"
	switch {
	case valid && c.any():
		verdict = "valid for any difficulty whose target is above this distance"
	case valid:
		verdict = "valid"
	}
	return valid, c.printf(s, "distance  %s\nachieved  difficulty %s\n%s\n", r.Distance, r.Difficulty, verdict)
}

func (c *verifyCmd) printf(s streams, format string, values ...any) error {
	if _, err := fmt.Fprintf(s.out, format, values...); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
