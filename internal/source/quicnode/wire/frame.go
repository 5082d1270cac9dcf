package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest number of bytes of JSON in a frame.
const MaxFrame = 1024

// A frame is the length of its content in 4 bytes, big-endian, and the content: one
// message in JSON.
const lengthSize = 4

// ViolationError says that what came is not of the protocol. The connection that it
// came by is of no use any more.
type ViolationError struct {
	// Cause is what is wrong.
	Cause error
}

// Error implements the error interface.
func (e *ViolationError) Error() string {
	return "the other side breaks the protocol: " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *ViolationError) Unwrap() error { return e.Cause }

// Read reads a frame, however many pieces it arrives in, and returns the message in
// it. The error is io.EOF if the stream ends instead of a frame, another of the
// reader's if it ends in the middle of one, or a [ViolationError]. No frame makes it
// hold more than MaxFrame bytes.
func Read(r io.Reader) (Message, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > MaxFrame {
		return nil, &ViolationError{fmt.Errorf("a frame of %d bytes: it must have 1 to %d", n, MaxFrame)}
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	m, err := decode(content)
	if err != nil {
		return nil, &ViolationError{err}
	}
	return m, nil
}

// Write writes a message as one frame, by a single call of w's Write: some nodes
// lose bytes of a frame that arrives in pieces. A message that cannot be a frame is
// an error, and nothing is written.
func Write(w io.Writer, m Message) error {
	frame, err := encode(m)
	if err != nil {
		return err
	}
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}
