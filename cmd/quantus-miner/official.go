package main

import (
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/pow"
)

// The official miner of today's network has commands and flags of its own, and scripts,
// environment files and units that say them. Here they do the same, or are answered with
// what to say instead.

// official returns a command line of the official miner as one of ours, and any other
// as it is:
//
//   - There, serve connects to a node. So does serve here, with or without its name, if
//     the command line has a flag that says which node and by which secrets, or if the
//     variable for the node is set; not if the command line has flags that only our
//     serve has, such as --port, which no official one has.
//   - benchmark is bench, of the proof of work of that network.
func (l *line) official(args []string) []string {
	before, name, rest := split(args)
	switch {
	case name == "benchmark":
		return slices.Concat(before, []string{"bench", "--pow", string(pow.Poseidon2)}, rest)
	case name != "" && name != "serve", asksForHelp(rest), !mayConnect(rest):
		return args
	}
	serve, connect := l.flags("serve"), l.flags("connect")
	told, ours := "", false
	for _, arg := range rest {
		arg, _, _ = strings.Cut(arg, "=")
		if slices.Contains(officialConnect, arg) {
			told = arg
		}
		ours = ours || serve[arg] != nil && connect[arg] == nil
	}
	node := connect["--node"]
	variable := cli.Variable(node)
	switch {
	case told == "" && (variable == "" || ours):
		return args
	case told == "":
		told = "the variable " + variable
	}
	l.notes = append(l.notes, "serve does what connect does, because of "+told)
	l.settings.Defaults = map[string]string{node.Name: "127.0.0.1"}
	return slices.Concat(before, []string{"connect"}, rest)
}

// split returns the command of a command line, which is empty if it has none, and what is
// before and after it: the configuration file may come first.
func split(args []string) (before []string, name string, rest []string) {
	start := 0
	for start < len(args) && strings.HasPrefix(args[start], "--config") {
		if start++; args[start-1] == "--config" {
			start++
		}
	}
	start = min(start, len(args))
	before, rest = args[:start], args[start:]
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		name, rest = rest[0], rest[1:]
	}
	return before, name, rest
}

// asksForHelp reports whether flags ask for help, whatever else they say.
func asksForHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}

// officialConnect are the flags that make serve of the official miner connect to a node.
var officialConnect = []string{"--node-addr", "--auth-token", "--auth-token-file", "--tls-cert-sha256", "--tls-cert-sha256-file"}

// nodeVariable says which node to connect to.
const nodeVariable = "MINER_NODE_ADDR"

// mayConnect reports whether serve with these flags may be that of the official miner, as
// a flag says which node and by which secrets, or the variable for the node is set.
func mayConnect(args []string) bool {
	return os.Getenv(nodeVariable) != "" || slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return slices.Contains(officialConnect, name)
	})
}

// flags returns the flags of a command, by each of their names as they are given.
func (l *line) flags(command string) map[string]*kong.Flag {
	flags := map[string]*kong.Flag{}
	for _, child := range l.parser.Model.Children {
		if child.Name != command {
			continue
		}
		for _, flag := range child.Flags {
			for _, name := range append([]string{flag.Name}, flag.Aliases...) {
				flags["--"+name] = flag
			}
			if flag.Short != 0 {
				flags["-"+string(flag.Short)] = flag
			}
		}
	}
	return flags
}

// needlessFlags are those of the official miner that this one does without: it sizes its
// batches by itself.
type needlessFlags struct {
	CPUBatchSize  string `name:"cpu-batch-size" hidden:"" env:"MINER_CPU_BATCH_SIZE" placeholder:"N" help:"Ignored: batches are sized by themselves."`
	GPUBatchSize  string `name:"gpu-batch-size" hidden:"" env:"MINER_GPU_BATCH_SIZE" placeholder:"N" help:"Ignored: batches are sized by themselves."`
	GPUThrottleMS string `name:"gpu-throttle-ms" hidden:"" env:"MINER_GPU_THROTTLE_MS" placeholder:"MS" help:"Ignored."`
}

// logIgnored logs which of them were given.
func (f needlessFlags) logIgnored(log *slog.Logger) {
	var given []string
	for _, flag := range []struct{ name, value string }{
		{"--cpu-batch-size", f.CPUBatchSize}, {"--gpu-batch-size", f.GPUBatchSize}, {"--gpu-throttle-ms", f.GPUThrottleMS},
	} {
		if flag.value != "" {
			given = append(given, flag.name)
		}
	}
	if given != nil {
		log.Info("some flags of the official miner are not needed here, and ignored: " + strings.Join(given, ", "))
	}
}
