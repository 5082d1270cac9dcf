// Command quantus-miner-nats is the NATS server of a fleet's hub: quantus-miner starts it for
// --fleet-listen, and speaks to it over its standard input and output. It is of no use by hand.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/quantus-network/quantus-miner/internal/build"
	"github.com/quantus-network/quantus-miner/internal/fleet/broker/server"
)

func main() {
	if len(os.Args) > 1 || term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, "quantus-miner-nats is started by quantus-miner for --fleet-listen, which looks for it beside itself and in PATH")
		os.Exit(2)
	}
	// The signals of a terminal, and of a service manager, are for the miner. It ends this
	// process by the end of its input.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := server.Serve(build.Read().Version, os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "quantus-miner-nats: %v\n", err)
		os.Exit(1)
	}
}
