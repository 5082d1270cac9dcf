//go:build !linux && !darwin && !freebsd

package console

import "context"

// Consoles of Windows have no signals to tell who owns them, so there are no keys.
const haveKeys = false

func (k *Keyboard) run(context.Context, func(byte)) {}
