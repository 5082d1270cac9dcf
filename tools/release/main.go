// Command release makes what a release of quantus-miner consists of, from a checkout of
// its commit: archives for every platform, packages for Debian and Red Hat, a bill of
// materials, and their checksums.
//
//	go run -C tools/release . -out ../../dist
//
// Two runs on one commit give the same bytes, wherever the checkout and the caches are, as
// long as the version of Go is the same.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// targets are the platforms that a release is for.
var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "riscv64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
	{"freebsd", "amd64"},
}

func main() {
	out := flag.String("out", "../../dist", "directory to make the files in; it must be empty, or not there")
	only := flag.String("only", "", "platforms to make files for, such as linux/amd64,linux/arm64; all by default")
	bill := flag.Bool("bill", true, "make the bill of materials")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *only, *bill); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// run makes a release in a directory.
func run(ctx context.Context, out, only string, bill bool) error {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if files, err := os.ReadDir(out); err == nil && len(files) > 0 {
		return fmt.Errorf("-out: %s is not empty", out)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("making the directory for the files: %w", err)
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	root, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	s, err := readSource(ctx, root)
	if err != nil {
		return err
	}
	fmt.Printf("quantus-miner %s, %s\n", s.version, s.revision)
	r := &release{source: s, work: work, out: out}
	if err := r.generate(ctx); err != nil {
		return err
	}
	for _, t := range chosen {
		if err := r.make(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	if bill {
		if err := r.bill(ctx); err != nil {
			return err
		}
	}
	return r.checksums()
}

// choose returns the targets that are named, or all.
func choose(only string) (chosen []target, err error) {
	if only == "" {
		return targets, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		n := len(chosen)
		for _, t := range targets {
			if t.String() == name {
				chosen = append(chosen, t)
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("-only: there is no platform %q; there are %v", name, targets)
		}
	}
	return chosen, nil
}
