package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// variables is what the names of all variables begin with.
const variables = "MINER_"

// common are the flags of every command.
type common struct {
	ConfigFile  configFlag  `name:"config" env:"MINER_CONFIG" placeholder:"FILE" nofile:"" help:"Configuration file in YAML, whose keys are the names of flags. Flags and variables win over it."`
	ShowVersion versionFlag `name:"version" short:"V" nofile:"" help:"Print the version."`
}

// The commands that mine until they are told to end.
type (
	serveLine struct {
		Serve serveCmd `cmd:"" default:"withargs" help:"Serve the HTTP API that a node mines with (the default command)."`
	}
	connectLine struct {
		Connect connectCmd `cmd:"" help:"Mine for a node of today's network, which this connects to."`
	}
	poolLine struct {
		Pool poolCmd `cmd:"" help:"Mine for a pool of today's network."`
	}
	workLine struct {
		Work workCmd `cmd:"" help:"Mine for a hub: a miner on another machine that hands out its work."`
	}
)

// only is a command line of one command that mines. They have such lines beside that of all
// commands, as it takes a parser milliseconds to read the definitions of all.
type only[Line any] struct {
	common
	Line Line `embed:""`
}

// serveOrConnect is a command line of which it remains to be found out which of them it means.
type serveOrConnect struct {
	common
	serveLine
	connectLine
}

// duties is a command line of all commands that mine.
type duties struct {
	common
	serveLine
	connectLine
	poolLine
	workLine
}

// commands is the whole command line: a field for each command.
type commands struct {
	duties

	Search     searchCmd     `cmd:"" help:"Search a range of nonces for a valid one."`
	Verify     verifyCmd     `cmd:"" help:"Check a nonce by the reference rule."`
	Bench      benchCmd      `cmd:"" help:"Measure how fast the engines are on this machine."`
	Doctor     doctorCmd     `cmd:"" help:"Look at this machine, and at a node, for what keeps them from mining."`
	Health     healthCmd     `cmd:"" help:"Ask a miner that runs whether it is well."`
	Devices    devicesCmd    `cmd:"" help:"List the GPUs that could be mined on."`
	Simulate   simulateCmd   `cmd:"" help:"Play the node: have a miner seal blocks, and check every seal."`
	Config     configCmd     `cmd:"" help:"Print what a command would run with, and where it is from."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a script that has a shell complete commands and flags."`
	Man        manCmd        `cmd:"" help:"Print the manual page of a command."`
	Help       helpCmd       `cmd:"" help:"Show the help of a command."`
}

const description = `A proof-of-work miner for the Quantus network.

Mine for a node of today's network, started with --miner-listen-port 9833, with the two files that it has written:

  quantus-miner connect --node 127.0.0.1:9833 --auth-token-file FILE --tls-cert-sha256-file FILE

Mine for a pool, which pays to an address:

  quantus-miner pool --url stratum+ssl://HOST:PORT --user ADDRESS.RIG

Mine with a node of the network before, which calls its miner:

  quantus-miner
  quantus-node --external-miner-url http://127.0.0.1:9833 ...

Have more machines mine for the same node or pool: one with --fleet-listen and --fleet-dir, and on each of the others

  quantus-miner work --hub HOST --fleet-token-file FILE --fleet-cert-sha256-file FILE

See it mine without a node:

  quantus-miner simulate

Flags without a command are those of serve.

Exit codes: 0 done (found, valid, sealed, shut down); 1 no (exhausted, not valid, not sealed), or failed; 2 wrong usage; 3 search or verify failed to find out; 130 interrupted.`

// line is a command line to be parsed.
type line struct {
	parser   *kong.Kong
	all      func() (*kong.Application, error) // the model of all commands
	settings *cli.Settings
	helped   bool     // help or the version was asked for, and has been printed
	file     string   // of the configuration, if there is one
	secret   bool     // that it has a secret
	notes    []string // on how the command line was understood
}

// newLine returns a command line for these arguments. Its commands write to s, and end
// when ctx does.
func newLine(ctx context.Context, args []string, s streams) (*line, error) {
	_, name, rest := split(args)
	var definitions any = new(commands)
	switch {
	case name == "connect":
		definitions = new(only[connectLine])
	case name == "pool":
		definitions = new(only[poolLine])
	case name == "work":
		definitions = new(only[workLine])
	case name != "" && name != "serve" || asksForHelp(rest):
	case mayConnect(rest):
		definitions = new(serveOrConnect)
	default:
		definitions = new(only[serveLine])
	}
	return newLineOf(ctx, definitions, s)
}

// newLineOf returns a command line of these definitions.
func newLineOf(ctx context.Context, definitions any, s streams) (*line, error) {
	l := &line{settings: new(cli.Settings)}
	l.all = sync.OnceValues(func() (*kong.Application, error) {
		if _, ok := definitions.(*commands); ok {
			return l.parser.Model, nil
		}
		whole, err := newLineOf(ctx, new(commands), s)
		if err != nil {
			return nil, err
		}
		return whole.parser.Model, nil
	})
	parser, err := kong.New(definitions,
		kong.Name("quantus-miner"),
		kong.Description(description),
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { l.helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{
			"cpus":      strconv.Itoa(effectiveCPUs()),
			"node_port": strconv.Itoa(wire.DefaultPort),
			"hub_port":  strconv.Itoa(hubPort),
			"engines":   strings.Join(pow.Names(), ", "),
			"pows":      strings.Join(pow.Proofs(), ","),
		},
		kong.Resolvers(l.settings),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s, l),
	)
	if err != nil {
		return nil, fmt.Errorf("reading the command line's definition: %w", err)
	}
	l.parser = parser
	return l, nil
}

// warn logs what is to be said before a command runs: variables that are nobody's, and
// how the command line was understood.
func (l *line) warn(command *kong.Context, s streams) {
	log := slog.New(slog.NewTextHandler(s.err, nil))
	if own, ok := command.Selected().Target.Addr().Interface().(interface{ newLog(streams) *slog.Logger }); ok {
		log = own.newLog(s)
	}
	for _, warning := range l.unknownVariables() {
		log.Warn(warning)
	}
	if l.secret {
		access.WarnExposed(log, l.file, access.SecretMode)
	}
	for _, note := range l.notes {
		log.Info(note)
	}
}

// unknownVariables returns what to say of variables that are no command's.
func (l *line) unknownVariables() []string {
	unknown := func(app *kong.Application) []string {
		return cli.UnknownVariables(variables, app, pow.KernelVariable, backendVariable)
	}
	warnings := unknown(l.parser.Model)
	if warnings == nil {
		return nil
	}
	if app, err := l.all(); err == nil { // as they may be another command's
		warnings = unknown(app)
	}
	return warnings
}

// explain returns the text of an error that the parser refuses arguments with, and what
// to type instead. It tells no secret.
func (l *line) explain(err error, args []string) string {
	app, broken := l.all()
	if broken != nil {
		app = l.parser.Model
	}
	return withoutTokens(cli.Explain(err, app), args)
}

// maxConfig is the largest size of a configuration file.
const maxConfig = 64 << 10

// configFlag is a configuration file.
type configFlag string

// BeforeResolve loads the file before the parser looks for values in it.
func (configFlag) BeforeResolve(ctx *kong.Context, path *kong.Path, l *line) error {
	file, ok := ctx.FlagValue(path.Flag).(configFlag)
	if !ok || file == "" {
		return errors.New("--config: must be a file")
	}
	if variable := cli.Variable(path.Flag); variable != "" && os.Getenv(variable) == string(file) {
		if err := cli.CheckQuotes(variable); err != nil {
			return err
		}
	}
	l.file = string(file)
	app, err := l.all() // as the file may be for other commands, too
	if err != nil {
		return err
	}
	err = l.settings.Load(string(file), app, func(path string, secret bool) ([]byte, error) {
		if secret {
			l.secret = true
			return access.Read(path, maxConfig, access.SecretMode)
		}
		return access.Read(path, maxConfig, 0)
	})
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	return nil
}

// helpCmd shows the help of a command.
type helpCmd struct {
	Command []string `arg:"" commands:"" optional:"" help:"Command to be helped with; none is the program itself."`
}

// Run shows it.
func (c *helpCmd) Run(l *line) error {
	if _, err := l.parser.Parse(l.official(append(c.Command, "--help"))); err != nil && !l.helped {
		if unwritten(err) {
			return err
		}
		return exitError{exitUsage, errors.New(l.explain(err, c.Command))}
	}
	return nil
}
