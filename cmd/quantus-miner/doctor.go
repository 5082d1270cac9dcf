package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/host/cpuname"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// doctorCmd looks at all that mining depends on.
type doctorCmd struct {
	Node []nodeFlag `aliases:"node-addr" env:"MINER_NODE_ADDR" placeholder:"HOST:PORT" help:"Node to look at; without a port ${node_port}. Without one none is."`
	trustFlags
	JSON bool `name:"json" help:"Print one JSON object."`
	gpuProgramFlag
}

// Help is what --help says beyond the summary.
func (c *doctorCmd) Help() string {
	return "It looks at this machine: the kernels that its CPU runs and their self-test, the CPUs and the clock that it has, its GPUs. With --node it looks at the files " +
		"with the token and the SHA-256, and at the node, which it connects to without sending the token. Each line is ok, something to look at, or wrong, with what to do.\n\n" +
		"Exit code 0: nothing is wrong. 1: something is."
}

// The states of a finding.
const (
	findingOK    = "ok"
	findingLook  = "look"  // it works, and could be better
	findingWrong = "wrong" // it does not work
)

// finding is what there is to say of one thing.
type finding struct {
	Check  string `json:"check"`  // what was looked at
	State  string `json:"state"`  // ok, look (it works, and could be better) or wrong
	Found  string `json:"found"`  // what was found
	Advice string `json:"advice"` // what to do; empty if that is nothing
}

// doctorResult is the result in JSON.
type doctorResult struct {
	OK       bool      `json:"ok"`       // whether nothing is wrong
	Findings []finding `json:"findings"` // one for each thing that was looked at
}

// Run looks at one thing after the other, and writes what it finds.
func (c *doctorCmd) Run(ctx context.Context, s streams) error {
	result := doctorResult{OK: true, Findings: []finding{}}
	note := func(findings ...finding) error {
		for _, f := range findings {
			result.Findings = append(result.Findings, f)
			result.OK = result.OK && f.State != findingWrong
			if !c.JSON {
				if err := f.print(s.out); err != nil {
					return exitError{exitNo, err}
				}
			}
		}
		return ctx.Err()
	}
	for _, look := range []func(context.Context) []finding{c.machine, c.engines, c.clock, c.gpus, c.nodes} {
		if err := note(look(ctx)...); err != nil {
			return err
		}
	}
	if c.JSON {
		if err := printJSON(s.out, result); err != nil {
			return exitError{exitNo, err}
		}
	}
	if !result.OK {
		return exitError{exitNo, nil}
	}
	return nil
}

func (f finding) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%-6s %-24s %s\n", f.State, f.Check, printable(f.Found))
	if err == nil && f.Advice != "" {
		_, err = fmt.Fprintf(w, "%-31s → %s\n", "", printable(f.Advice))
	}
	if err != nil {
		return fmt.Errorf("writing what was found: %w", err)
	}
	return nil
}

// machine looks at the program, and at the CPUs that it may use.
func (c *doctorCmd) machine(context.Context) []finding {
	program := finding{"program", findingOK, fmt.Sprintf("quantus-miner %s, %s/%s, %s", version(), runtime.GOOS, runtime.GOARCH, cpuname.Read()), ""}
	cpus, all := effectiveCPUs(), runtime.NumCPU()
	used := finding{Check: "CPUs", State: findingOK, Found: fmt.Sprintf("%d, so many workers by default", cpus)}
	switch {
	case cpus < all:
		used.State, used.Found = findingLook, fmt.Sprintf("%d of %d: a container's limit, GOMAXPROCS or an affinity mask leaves no more", cpus, all)
		used.Advice = "raise the limit if the miner is to have more"
	case cpus >= maxWorkers:
		used.State, used.Advice = findingLook, "one process runs no more workers: start several, each with an --affinity of its own"
	}
	return []finding{program, used}
}

// engines has every engine of each proof of work find known winners.
func (c *doctorCmd) engines(context.Context) (findings []finding) {
	for _, name := range pow.Proofs() {
		check := "engine " + name
		engines, err := pow.Engines(pow.Proof(name))
		if err != nil {
			findings = append(findings, finding{check, findingWrong, err.Error(), "leave the variable " + pow.KernelVariable + " away"})
			continue
		}
		chosen := false // the fastest that works
		for _, e := range engines {
			f := finding{check, findingOK, fmt.Sprintf("%s, kernel %s, finds what it must", e.Name(), e.Backend()), ""}
			switch err := pow.SelfTest(pow.Proof(name), e); {
			case err != nil:
				f.State, f.Found = findingWrong, fmt.Sprintf("%s, kernel %s: %v", e.Name(), e.Backend(), err)
				f.Advice = "it is not used; the memory or the CPU may be faulty; please report it otherwise"
			case !chosen:
				chosen = true
				f.Found += "; the default"
				if e.Backend() == "portable" {
					f.State, f.Advice = findingLook, "there is no kernel for this CPU's instructions, or they are hidden from it, as by a virtual machine: one with AVX-512, AVX-IFMA or AVX2 is several times as fast"
				}
			}
			findings = append(findings, f)
		}
	}
	return findings
}

// built is a moment before which this program cannot run.
var built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock looks at the time. What it is, nobody near can be asked.
func (c *doctorCmd) clock(context.Context) []finding {
	f := finding{Check: "clock", State: findingOK, Found: time.Now().Format(time.RFC3339)}
	if time.Now().Before(built) {
		f.State, f.Advice = findingWrong, "it is wrong, so certificates for HTTPS are not valid and logs mislead: set it, best by NTP"
	}
	return []finding{f}
}

// gpus looks at the devices that are there.
func (c *doctorCmd) gpus(ctx context.Context) (findings []finding) {
	_, devices, problems, err := c.list(ctx)
	if err != nil {
		return []finding{{"GPUs", findingLook, err.Error(), "to mine on GPUs, put quantus-miner-gpu beside this program"}}
	}
	for i, d := range devices {
		f := finding{fmt.Sprint("GPU ", i), findingOK, fmt.Sprintf("%s (%s), driver %s", d.Name, d.Kind, d.Driver), ""}
		if !d.Usable {
			f.State, f.Found, f.Advice = findingLook, f.Found+": "+d.Reason, "see docs/gpu.md for drivers"
		}
		findings = append(findings, f)
	}
	if len(devices) == 0 {
		findings = append(findings, finding{"GPUs", findingOK, "none" + reasons(problems), ""})
	}
	return findings
}

// reasons says why back ends have no devices.
func reasons(problems []gpu.Problem) string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, fmt.Sprintf("%s: %v", p.Backend, p.Err))
	}
	if texts == nil {
		return ""
	}
	return " (" + strings.Join(texts, "; ") + ")"
}

// nodes looks at the nodes, and at what they and the miner know each other by.
func (c *doctorCmd) nodes(ctx context.Context) (findings []finding) {
	if len(c.Node) == 0 {
		return []finding{{"node", findingOK, "none was named with --node", ""}}
	}
	if err := c.checkFor(len(c.Node)); err != nil {
		return []finding{{"node", findingWrong, err.Error(), "give what connect needs as well"}}
	}
	for i, node := range c.Node {
		check := "node " + string(node)
		credentials, err := c.credentials(i)
		if err != nil {
			findings = append(findings, finding{check, findingWrong, err.Error(), adviceOnFile(err)})
			continue
		}
		findings = append(findings, finding{check, findingOK, "the token is one line, and the fingerprint is one", ""}, probe(ctx, check, string(node), credentials))
	}
	return findings
}

// adviceOnFile says what to do about a file with a token or a fingerprint.
func adviceOnFile(err error) string {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return "the node writes both files at its first start, into the directory of its chain; the miner's user must be able to read copies of them"
	}
	if errors.Is(err, access.ErrExposed) {
		return "chmod 600 FILE, and chown it to the miner's user"
	}
	return "copy the node's own file once more"
}

// probe connects to a node without showing it the token.
func probe(ctx context.Context, check, node string, known quicnode.Credentials) finding {
	err := quicnode.Probe(ctx, node, known)
	if err == nil {
		return finding{check, findingOK, "it answers by UDP, has the certificate of the fingerprint and speaks our protocol", ""}
	}
	f := finding{check, findingWrong, err.Error(), ""}
	switch pin := (*wire.PinError)(nil); {
	case errors.Is(err, quicnode.ErrSwapped):
		f.Advice = "give the node's own file miner-auth-token with --auth-token-file, and its miner-tls-cert-sha256 with --tls-cert-sha256-file"
	case errors.As(err, &pin):
		f.Advice = "another node answers there, or it was set up anew: take its own file miner-tls-cert-sha256"
	case errors.Is(err, quicnode.ErrVersion):
		f.Advice = "update the node or the miner, whichever is older"
	default:
		f.Advice = "start the node with --miner-listen-port, and let UDP to that port through firewalls"
	}
	return f
}
