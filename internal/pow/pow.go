// Package pow lists the engines of each proof of work, and chooses one of them.
package pow

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/engine"
	poseidon2baseline "github.com/quantus-network/quantus-miner/internal/pow/poseidon2/baseline"
	poseidon2fast "github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	poseidon2simd "github.com/quantus-network/quantus-miner/internal/pow/poseidon2/simd"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/baseline"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/simd"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Proof is a proof of work, by the name that operators know it by.
type Proof string

// The proofs of work.
const (
	// SHA3RSA is that of package sha3rsa. Its threshold is the largest distance of a valid
	// nonce.
	SHA3RSA Proof = "sha3-rsa"
	// Poseidon2 is that of package poseidon2. Its threshold is the difficulty.
	Poseidon2 Proof = "poseidon2"
)

// Proofs returns the names of the proofs of work, the older one first.
func Proofs() []string { return []string{string(SHA3RSA), string(Poseidon2)} }

// Hardest returns the threshold that is the hardest to meet.
func (proof Proof) Hardest() u512.Uint {
	if proof == Poseidon2 {
		return u512.Max()
	}
	return u512.Uint{}
}

// Auto is the name that stands for the fastest engine.
const Auto = "auto"

// KernelVariable is the environment variable that names the fastest kernel that
// cpu-simd may take: for tests, and to find out whether a kernel causes a problem.
const KernelVariable = "MINER_SIMD_KERNEL"

// Engines returns every engine of a proof of work that this machine can run, fastest
// first. There is one cpu-simd for each of its kernels.
func Engines(proof Proof) ([]engine.Engine, error) {
	switch fastest := os.Getenv(KernelVariable); proof {
	case SHA3RSA:
		kernels, err := simd.Engines(fastest)
		return list(kernels, err, fast.Engine{}, baseline.Engine{})
	case Poseidon2:
		kernels, err := poseidon2simd.Engines(fastest)
		return list(kernels, err, poseidon2fast.Engine{}, poseidon2baseline.Engine{})
	default:
		return nil, fmt.Errorf("the proof of work must be one of %s", strings.Join(Proofs(), ", "))
	}
}

// list puts the engines of the kernels, if there was no error, in front of others.
func list(kernels []engine.Engine, err error, others ...engine.Engine) ([]engine.Engine, error) {
	if err != nil {
		return nil, fmt.Errorf("the variable %s %w", KernelVariable, err)
	}
	return append(kernels, others...), nil
}

// Names returns the engines' names, slowest first. They are the same for every proof
// of work.
func Names() []string { return []string{"cpu-baseline", "cpu-fast", "cpu-simd"} }

// CheckName returns an error unless there is an engine of the name, or it is [Auto].
func CheckName(name string) error {
	if names := append([]string{Auto}, Names()...); !slices.Contains(names, name) {
		return fmt.Errorf("must be one of %s", strings.Join(names, ", "))
	}
	return nil
}

// Check returns an error unless [Pick] can choose by the name.
func Check(proof Proof, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	_, err := Engines(proof)
	return err
}

// Pick returns the fastest engine of that name, or of any name for [Auto], that
// passes its self-test on this machine. It also returns an error for each engine that
// did not pass: callers should log them.
func Pick(proof Proof, name string) (e engine.Engine, refused []error, err error) {
	if err := CheckName(name); err != nil {
		return nil, nil, err
	}
	engines, err := Engines(proof)
	if err != nil {
		return nil, nil, err
	}
	return pick(proof, engines, name)
}

// After returns the fastest engine that passes its self-test, of those slower than the
// given one: the next one to use when that one has reported a wrong nonce.
func After(proof Proof, wrong engine.Engine) (e engine.Engine, refused []error, err error) {
	engines, err := Engines(proof)
	if err != nil {
		return nil, nil, err
	}
	return pick(proof, after(engines, wrong), Auto)
}

// after returns the engines behind one, which is known by its names.
func after(engines []engine.Engine, one engine.Engine) []engine.Engine {
	is := func(e engine.Engine) bool { return e.Name() == one.Name() && e.Backend() == one.Backend() }
	return engines[slices.IndexFunc(engines, is)+1:]
}

func pick(proof Proof, engines []engine.Engine, name string) (e engine.Engine, refused []error, err error) {
	for _, e := range engines {
		if name != Auto && name != e.Name() {
			continue
		}
		if err := SelfTest(proof, e); err != nil {
			refused = append(refused, fmt.Errorf("refusing %s (%s) on this machine: %w", e.Name(), e.Backend(), err))
			continue
		}
		return e, refused, nil
	}
	if len(refused) == 0 {
		return nil, nil, errors.New("there is no slower engine")
	}
	return nil, nil, fmt.Errorf("no engine %q passes its self-test: %w", name, errors.Join(refused...))
}
