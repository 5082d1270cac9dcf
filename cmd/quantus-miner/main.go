// Command quantus-miner is a proof-of-work miner for the Quantus network.
//
// Without a command it serves the HTTP API that a node mines with; connect mines for
// nodes of today's network. The other commands search and verify by hand, measure, and
// play the node. There is a file for each of them here, service.go has what serve and
// connect share, and all of it is wiring: the work is done in the packages under
// internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// Exit codes. They are part of the command line's contract.
const (
	exitOK          = 0   // done: found, valid (or no threshold given), sealed, shut down when told to
	exitNo          = 1   // the answer is no (exhausted, not valid, a seal was wrong, the miner misbehaved), or the work could not be done (a port is taken; a node refuses the token, has another certificate or speaks another protocol)
	exitUsage       = 2   // the command line, a variable or the configuration file makes no sense; the message names it
	exitNoAnswer    = 3   // search, verify: failed, so that there is no answer, not even no
	exitInterrupted = 130 // a signal came before the work was done
)

// streams is where a command writes.
type streams struct {
	out io.Writer // results
	err io.Writer // logs, progress and errors
	// terminal says that err is read by a person as it is written.
	terminal bool
	// keyboard is that person's, or nil.
	keyboard *console.Keyboard
	// hangups are the signals SIGHUP, or nil.
	hangups *hangups
	// origin is the command line, to be read again.
	origin *origin
}

// exitError ends a command with an exit code of its own.
type exitError struct {
	code int
	err  error // nil if all has been said
}

// Error implements error.
func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e exitError) Unwrap() error { return e.err }

// gcPercent is how much garbage may come before it is collected, in percent of
// what is in use, or of 4 MB if that is less. Collections stop every thread, twice,
// and a worker that waits for a CPU keeps the others waiting. This is four times
// as much as Go's own choice, and still only 16 MB.
const gcPercent = 400

// collectSeldom has garbage be collected seldom, unless the operator says how often.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func main() {
	collectSeldom() // and not while the command line is being read
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancel(ctx)
	// The first signal asks to stop; a second one, unhandled, ends the process.
	context.AfterFunc(ctx, stop)
	// A terminal that is closed ends the program as cleanly, unless nohup says otherwise.
	hangups := newHangups(end)
	go hangups.run(ctx)
	s := streams{out: os.Stdout, err: os.Stderr, terminal: term.IsTerminal(int(os.Stderr.Fd())), hangups: hangups}
	if s.terminal {
		s.keyboard = console.NewKeyboard(os.Stdin)
	}
	os.Exit(run(ctx, os.Args[1:], s))
}

// run parses and runs a command line, and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(s.err, "quantus-miner: %v\n", err)
		return code
	}
	if err := cli.TidyEnvironment(variables); err != nil {
		return fail(exitUsage, err)
	}
	s.origin = &origin{args: args}
	line, err := newLine(ctx, args, s)
	if err != nil {
		return fail(exitUsage, err)
	}
	args = line.official(args)
	command, err := line.parser.Parse(args)
	if line.helped {
		return exitOK
	}
	if unwritten(err) {
		return fail(exitNo, err)
	}
	if err != nil {
		return fail(exitUsage, fmt.Errorf("%s\n%s", line.explain(err, args), hint(err, args)))
	}
	if s.terminal && len(args) == 0 {
		fmt.Fprintln(s.err, whichNetwork)
	}
	s.origin.line, s.origin.command = line, command
	line.warn(command, s)
	err = command.Run()
	if exit, ok := errors.AsType[exitError](err); ok {
		if exit.err != nil {
			return fail(exit.code, err)
		}
		return exit.code
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return fail(exitInterrupted, errors.New("interrupted"))
	default:
		return fail(exitNo, err)
	}
}

// unwritten reports whether an error of the parser is no fault of the command line: help
// and the version, which it prints, could not be.
func unwritten(err error) bool {
	failed, ok := errors.AsType[*fs.PathError](err)
	return ok && failed.Op == "write"
}

// whichNetwork is told to people who type the program's name and nothing else: most of
// them want today's network, and the default is the one before.
const whichNetwork = "This serves nodes of the SHA3 network of 2025, which call the miner over HTTP. " +
	"For a node of today's network type: quantus-miner connect --node HOST --auth-token-file FILE --tls-cert-sha256-file FILE"

// hint says where a usage error is explained. A command that was not named, as it is the
// default, may not be the one that is meant.
func hint(err error, args []string) string {
	hint := `Run "quantus-miner --help" for the commands`
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context.Selected() != nil && slices.Contains(args, parse.Context.Selected().Name) {
		hint += fmt.Sprintf(", %q for the flags", "quantus-miner "+parse.Context.Selected().Name+" --help")
	}
	return hint
}
