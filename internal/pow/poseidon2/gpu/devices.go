package gpu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/quantus-network/quantus-miner/internal/host/program"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// FindProgram returns the path of quantus-miner-gpu, the program that opens drivers: see [program.Find].
func FindProgram(path string) (string, error) { return program.Find("quantus-miner-gpu", path) }

// Backends returns the back ends to list devices of: the named one, or all for "".
func Backends(only string) ([]string, error) {
	all := []string{wire.CUDA, wire.OpenCL}
	for _, name := range all {
		if name == only {
			return []string{name}, nil
		}
	}
	if only != "" {
		return nil, fmt.Errorf("must be one of %s", strings.Join(all, ", "))
	}
	return all, nil
}

// Problem is why a back end has no devices, or not all that there may be.
type Problem struct {
	Backend string
	Err     error
}

// List returns the devices of this machine that back ends reach: their places in the list are
// their numbers. Each back end is asked in a process of its own, so that a driver that
// crashes hides nobody else's devices. It returns what is wrong with each.
func List(ctx context.Context, path string, backends []string) (devices []wire.Device, problems []Problem) {
	lists := make([][]wire.Device, len(backends))
	errs := make([]error, len(backends))
	var listing sync.WaitGroup
	for i, backend := range backends {
		listing.Go(func() { lists[i], errs[i] = list(ctx, path, backend) })
	}
	listing.Wait()
	for i, backend := range backends {
		if errs[i] != nil {
			problems = append(problems, Problem{backend, errs[i]})
		}
	}
	return merge(lists...), problems
}

// list returns the devices of one back end.
func list(ctx context.Context, path, backend string) (devices []wire.Device, err error) {
	c, err := start(ctx, path, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	if err := c.send(wire.Request{List: &wire.List{Backend: backend}}); err != nil {
		return nil, err
	}
	reply, err := c.receive(ctx, listTime, "the list of devices")
	switch {
	case err != nil:
		return nil, fmt.Errorf("listing devices: %w", err)
	case reply.Devices == nil:
		return nil, errors.New("the process answers what it was not asked")
	case reply.Devices.Problem != "":
		err = errors.New(reply.Devices.Problem)
	}
	return reply.Devices.Devices, err
}

// merge puts lists of devices in one, each device once: the first list that has it wins.
// Cards of NVIDIA's that CUDA reaches are known to OpenCL by other names.
func merge(lists ...[]wire.Device) (devices []wire.Device) {
	cuda, seen := false, map[string]bool{}
	for _, list := range lists {
		for _, d := range list {
			again := d.Backend == wire.OpenCL && (cuda && strings.Contains(strings.ToUpper(d.Vendor), "NVIDIA") || d.ID != "" && seen[d.ID])
			if again {
				continue
			}
			seen[d.ID] = true
			cuda = cuda || d.Backend == wire.CUDA && d.Usable
			devices = append(devices, d)
		}
	}
	return devices
}
