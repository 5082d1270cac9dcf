package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/dustin/go-humanize"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// devicesCmd lists the devices that could be mined on.
type devicesCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
	gpuProgramFlag
}

// Help is what --help says beyond the summary.
func (c *devicesCmd) Help() string {
	return "Devices are known by their numbers to --gpu. A device that is not usable has a reason, and what is wrong with a whole back end is said on standard error.\n\n" +
		"Exit code 0: also if there is no device."
}

// Validate implements the parser's check of the command as a whole.
func (c *devicesCmd) Validate() error { return checkBackend() }

// devicesResult is the result in JSON.
type devicesResult struct {
	Devices []deviceResult `json:"devices"` // one for each device, in the order of their numbers
}

type deviceResult struct {
	Index        int       `json:"index"`         // the number that --gpu takes
	Name         string    `json:"name"`          // the driver's name for it
	Vendor       string    `json:"vendor"`        // who made it
	Platform     string    `json:"platform"`      // the driver's platform
	Type         wire.Kind `json:"type"`          // gpu, integrated or cpu
	ComputeUnits int       `json:"compute_units"` // multiprocessors or the like
	MemoryBytes  uint64    `json:"memory_bytes"`  // its memory
	Driver       string    `json:"driver"`        // the driver's version
	Usable       bool      `json:"usable"`        // whether it can be mined on
	Reason       string    `json:"reason"`        // why it is not usable; empty if it is
}

// Run lists.
func (c *devicesCmd) Run(ctx context.Context, s streams) error {
	_, devices, problems, err := c.list(ctx)
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintf(s.err, "%s: %v\n", p.Backend, p.Err)
	}
	result := devicesResult{Devices: []deviceResult{}}
	for i, d := range devices {
		result.Devices = append(result.Devices, deviceResult{i, d.Name, d.Vendor, d.Platform, d.Kind, d.ComputeUnits, d.MemoryBytes, d.Driver, d.Usable, d.Reason})
	}
	if c.JSON {
		return printJSON(s.out, result)
	}
	if len(devices) == 0 {
		_, err := fmt.Fprintln(s.out, "no devices")
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "index\tname\ttype\tunits\tmemory\tplatform\tdriver\tusable")
	for _, d := range result.Devices {
		usable := "yes"
		if !d.Usable {
			usable = "no: " + d.Reason
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", d.Index, printable(d.Name), d.Type, d.ComputeUnits,
			humanize.IBytes(d.MemoryBytes), printable(d.Platform), printable(d.Driver), printable(usable))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// printable replaces what could paint on a terminal: drivers may say what they like.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
