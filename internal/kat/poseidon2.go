package kat

import (
	_ "embed"
	"encoding/hex"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

//go:embed testdata/qpow_poseidon2.json
var poseidon2File []byte

// Poseidon2 has the known answers about the proof of work of that name.
type Poseidon2 struct {
	Permutations []Permutation
	Messages     []Message
	Hashes       []Hash
	Verdicts     []Verdict
	// Searches have the difficulty for their threshold, and the hash for the distance.
	Searches []Search

	// The constants of the permutation.
	Internal, Diagonal []uint64
	Initial, Terminal  [][]uint64
}

// Permutation is a state and what it is permuted to. The latter is canonical, the
// former need not be.
type Permutation struct {
	Name    string
	In, Out [12]uint64
}

// Message is a message of any length and its hash of 64 bytes.
type Message struct{ Message, Hash []byte }

// Hash is what a nonce hashes to.
type Hash struct {
	Name        string
	Header      [32]byte
	Nonce, Hash u512.Uint
	// Midstate is the state after two permutations, if it is known.
	Midstate *[12]uint64
}

// Verdict says whether a nonce is valid.
type Verdict struct {
	Name   string
	Header [32]byte
	Nonce  u512.Uint
	// Difficulty is 0 where only the target is given.
	Difficulty u512.Uint
	// Target is what the hash must be below. Without it the difficulty is an error.
	Target *u512.Uint
	Valid  bool
	// Hash is 0 without a target.
	Hash u512.Uint
	// Achieved is the difficulty that the hash achieves, if that is known.
	Achieved *u512.Uint
}

// ReadPoseidon2 returns the known answers.
func ReadPoseidon2(t testing.TB) (answers Poseidon2) {
	t.Helper()
	var file struct {
		Constants struct {
			Internal, Diag []string
			Initial        [][]string `json:"external_initial"`
			Terminal       [][]string `json:"external_terminal"`
		}
		Permutations []struct {
			Name    string
			In, Out []string
		}
		Hashes []struct {
			Name     string
			Header   string `json:"block_hash"`
			Nonce    string
			Hash     string   `json:"hash512"`
			Midstate []string `json:"midstate_after_2_perms"`
		}
		Messages []struct {
			Input string
			Half  string `json:"hash_bytes"`
			Hash  string `json:"hash_squeeze_twice"`
		} `json:"bytes_hashes"`
		Valid []struct {
			Name       string
			Header     string `json:"block_hash"`
			Nonce      string
			Difficulty string `json:"difficulty_dec"`
			Target     *string
			Valid      bool
			Hash       string `json:"returned_hash"`
			Achieved   string `json:"achieved_difficulty_dec"`
		} `json:"is_valid_nonce"`
		Boundary []struct {
			Header              string `json:"block_hash"`
			Nonce, Hash, Target string
			Accepted            bool
		} `json:"target_boundary"`
		Search []struct {
			Name       string
			Header     string `json:"block_hash"`
			Difficulty string `json:"difficulty_dec"`
			Start      string `json:"nonce_start"`
			End        string `json:"nonce_end"`
			Expected   struct {
				Status, Nonce, Hash string
				Evaluated           uint64
			}
		}
	}
	decode(t, poseidon2File, &file)

	answers.Internal, answers.Diagonal = words(t, file.Constants.Internal), words(t, file.Constants.Diag)
	for _, row := range file.Constants.Initial {
		answers.Initial = append(answers.Initial, words(t, row))
	}
	for _, row := range file.Constants.Terminal {
		answers.Terminal = append(answers.Terminal, words(t, row))
	}
	for _, c := range file.Permutations {
		answers.Permutations = append(answers.Permutations, Permutation{c.Name, [12]uint64(words(t, c.In)), [12]uint64(words(t, c.Out))})
	}
	for _, c := range file.Messages {
		if c.Hash[:64] != c.Half {
			t.Fatalf("message %q: hash %s does not begin with %s", c.Input, c.Hash, c.Half)
		}
		answers.Messages = append(answers.Messages, Message{bytes(t, c.Input), bytes(t, c.Hash)})
	}
	for _, c := range file.Hashes {
		h := Hash{c.Name, header(t, c.Header), number(t, c.Nonce), number(t, c.Hash), nil}
		if c.Midstate != nil {
			midstate := [12]uint64(words(t, c.Midstate))
			h.Midstate = &midstate
		}
		answers.Hashes = append(answers.Hashes, h)
	}
	for _, c := range file.Valid {
		achieved := decimal(t, c.Achieved)
		v := Verdict{c.Name, header(t, c.Header), number(t, c.Nonce), decimal(t, c.Difficulty), nil, c.Valid, number(t, c.Hash), &achieved}
		if c.Target != nil {
			target := number(t, *c.Target)
			v.Target = &target
		}
		answers.Verdicts = append(answers.Verdicts, v)
	}
	for _, c := range file.Boundary {
		target := number(t, c.Target)
		answers.Verdicts = append(answers.Verdicts,
			Verdict{"target " + c.Target, header(t, c.Header), number(t, c.Nonce), u512.Uint{}, &target, c.Accepted, number(t, c.Hash), nil})
	}
	for _, c := range file.Search {
		s := Search{
			Name: c.Name, Header: header(t, c.Header), Threshold: decimal(t, c.Difficulty),
			Start: number(t, c.Start), End: number(t, c.End), HashCount: c.Expected.Evaluated,
		}
		switch c.Expected.Status {
		case "found":
			s.Found, s.Nonce, s.Distance = true, number(t, c.Expected.Nonce), number(t, c.Expected.Hash)
		case "exhausted":
		default:
			t.Fatalf("%s: status %q", c.Name, c.Expected.Status)
		}
		answers.Searches = append(answers.Searches, s)
	}
	notEmpty(t, answers.Permutations)
	notEmpty(t, answers.Messages)
	notEmpty(t, answers.Hashes)
	notEmpty(t, answers.Verdicts)
	notEmpty(t, answers.Searches)
	return answers
}

func bytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("known answer %q: %v", s, err)
	}
	return b
}

func words(t testing.TB, row []string) (words []uint64) {
	t.Helper()
	for _, s := range row {
		x := number(t, s)
		if x.BitLen() > 64 {
			t.Fatalf("known word %q is longer than 64 bits", s)
		}
		words = append(words, x[0])
	}
	return words
}

func decimal(t testing.TB, s string) u512.Uint {
	t.Helper()
	x, err := u512.ParseDecimal(s)
	if err != nil {
		t.Fatalf("known answer %q: %v", s, err)
	}
	return x
}
