package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/pow"
)

// configCmd prints the settings of a command line without running it.
type configCmd struct {
	JSON      bool     `name:"json" help:"Print one JSON object."`
	Variables bool     `name:"variables" help:"Print all variables of the commands that mine, each with its meaning, as a file for systemd or docker to read. None of them is set in it."`
	Line      []string `arg:"" commands:"" name:"command" optional:"" passthrough:"" help:"Command and its flags; without a command they are those of serve."`
}

// Help is what --help says beyond the summary.
func (c *configCmd) Help() string {
	return "Each flag is listed with its value and where that is from: the command line, a variable, the configuration file or its default. " +
		"Secrets are not shown.\n\n" +
		"Exit code 0: the command would run. 2: it would not, and why is said."
}

// configResult is the result in JSON.
type configResult struct {
	Command  string        `json:"command"`         // the command that would run
	Settings []cli.Setting `json:"settings"`        // one for each flag
	Error    string        `json:"error,omitempty"` // why the command would not run; absent if it would
}

// Run prints.
func (c *configCmd) Run(ctx context.Context, s streams, outer *line) error {
	if c.Variables {
		return writeVariables(ctx, s)
	}
	asJSON := func(arg string) bool { return arg == "--json" }
	args := slices.DeleteFunc(slices.Clone(c.Line), asJSON)
	if outer.file != "" && !slices.Contains(args, "--config") {
		args = append([]string{"--config", outer.file}, args...)
	}
	l, err := newLine(ctx, args, s)
	if err != nil {
		return err
	}
	command, refused := l.resolve(l.official(args))
	if l.helped {
		return nil
	}
	if command == nil {
		return exitError{exitUsage, refused}
	}
	result := configResult{Command: command.Selected().Name, Settings: l.settings.Of(command)}
	for _, name := range []string{pow.KernelVariable, backendVariable} {
		if value := os.Getenv(name); value != "" {
			result.Settings = append(result.Settings, cli.Setting{Value: value, From: cli.FromVariable, Name: name})
		}
	}
	if refused != nil {
		result.Error = refused.Error()
	}
	if c.JSON || slices.ContainsFunc(c.Line, asJSON) {
		err = printJSON(s.out, result)
	} else {
		err = c.print(s, result)
	}
	if err == nil && refused != nil {
		return exitError{exitUsage, fmt.Errorf("quantus-miner %s would not run: %w", result.Command, refused)}
	}
	return err
}

// writeVariables prints the variables of the commands that mine.
func writeVariables(ctx context.Context, s streams) error {
	l, err := newLineOf(ctx, new(duties), s)
	if err != nil {
		return err
	}
	variables := append(cli.Variables(l.parser.Model),
		cli.VariableDoc{Name: pow.KernelVariable, Example: "portable", Meanings: []cli.Meaning{{
			Help: "The fastest kernel that the engine cpu-simd may take: to see whether a faster one is to blame for something.",
		}}},
		cli.VariableDoc{Name: backendVariable, Example: "cuda", Meanings: []cli.Meaning{{
			Help: "The one way to reach GPUs, cuda or opencl: to see whether the other is to blame for something.",
		}}},
	)
	return cli.WriteVariables(s.out, l.parser.Model, variables)
}

func (c *configCmd) print(s streams, r configResult) error {
	table := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "%s\tvalue\tfrom\n", r.Command)
	for _, setting := range r.Settings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", setting.Flag, cmp.Or(setting.Value, "–"), setting.Where())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// resolve parses a command line, and says why its command would not run. Without an error
// it would. It returns nil for a line that cannot be made sense of at all.
func (l *line) resolve(args []string) (*kong.Context, error) {
	command, err := l.parser.Parse(args)
	if err == nil {
		return command, nil
	}
	// What can be told before the line as a whole is checked: its flags, one by one.
	refused := errors.New(l.explain(err, args))
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context.Error != nil || parse.Context.Selected() == nil || parse.Context.Reset() != nil || parse.Context.Resolve() != nil {
		return nil, refused
	}
	if _, err := parse.Context.Apply(); err != nil {
		return nil, refused
	}
	return parse.Context, refused
}
