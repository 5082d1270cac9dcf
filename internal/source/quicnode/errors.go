package quicnode

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// What no reconnecting helps against, beside a [wire.PinError]: somebody has to
// set something right.
var (
	// ErrTokenRefused says that the node does not know the token.
	ErrTokenRefused = errors.New("the node refuses the token")
	// ErrSwapped says that the token is what the certificate should have been, whose
	// place it has taken in turn: so no [wire.PinError] may quote it.
	ErrSwapped = errors.New("the token is the SHA-256 of the node's certificate: the two have changed places")
	// ErrVersion says that the node speaks another version of the protocol.
	ErrVersion = fmt.Errorf("the node does not speak the protocol %q", wire.ALPN)
)

// NodeError says what is wrong with a node that no reconnecting helps against.
type NodeError struct {
	// Node is the node's address, as it was given.
	Node string
	// Err is ErrTokenRefused, ErrSwapped, ErrVersion or a [wire.PinError].
	Err error
}

// Error implements the error interface.
func (e *NodeError) Error() string { return fmt.Sprintf("node %s: %v", e.Node, e.Err) }

// Unwrap returns the cause.
func (e *NodeError) Unwrap() error { return e.Err }

// noApplicationProtocol is the TLS alert with that name, 120, among the codes of QUIC.
const noApplicationProtocol = 0x100 + 120

// fatal returns the cause of an error that no reconnecting helps against, and nil for
// all other errors. It does not repeat the words of a node whose certificate is not
// checked yet.
func fatal(err error) error {
	if closed, ok := errors.AsType[*quic.ApplicationError](err); ok && closed.Remote && closed.ErrorMessage == wire.ReasonAuthFailed {
		return ErrTokenRefused
	}
	if errors.Is(err, ErrSwapped) {
		return ErrSwapped
	}
	if pin, ok := errors.AsType[*wire.PinError](err); ok {
		return pin
	}
	if broken, ok := errors.AsType[*quic.TransportError](err); ok && broken.ErrorCode == noApplicationProtocol {
		return ErrVersion
	}
	return nil
}

// explain returns the error of dialing a node as it may be shown: a [wire.PinError] quotes
// the pin, which is the token if the two have changed places.
func (c Credentials) explain(err error) error {
	pin, ok := errors.AsType[*wire.PinError](err)
	if !ok {
		return err
	}
	if token, err := wire.ParseFingerprint(c.Token); err == nil && token == pin.Got {
		return ErrSwapped
	}
	return err
}
