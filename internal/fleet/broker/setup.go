package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a hub and the process of its NATS server say to each other before that process's standard
// input and output become the hub's own connection: a [Setup], an [Answer], and [Connect] when
// the hub is about to use it. Both are one line of JSON, as a token must not be on a command line
// or in a variable.

// SetupVersion is that of these lines: both programs must have the same one.
const SetupVersion = 1

// MaxLine is the longest line, in bytes: longer than a certificate and a key make it.
const MaxLine = 64 << 10

// Connect is the byte that the hub sends once it uses the connection. The server has only so much
// patience with a client that says nothing, and the hub may have other things to do first.
const Connect = '\n'

// HubUser is the user's name of the hub's own connection, which is no instance id.
const HubUser = "hub"

// Setup is what the server has to know.
type Setup struct {
	Wire int `json:"wire"` // [SetupVersion]
	// Host and Port are where to listen; port 0 is any that is free.
	Host string `json:"host"`
	Port uint16 `json:"port"`
	// Fleet is the fleet's name.
	Fleet string `json:"fleet"`
	// Token is what workers have to know, and Password what the hub has to.
	Token    string `json:"token"`
	Password string `json:"password"`
	// Certificate is the server's in DER, with those that vouch for it, and Key its key in PKCS #8.
	Certificate [][]byte `json:"certificate"`
	Key         []byte   `json:"key"`
}

// Answer says where the server listens, or why it does not.
type Answer struct {
	Wire    int    `json:"wire"`              // [SetupVersion]
	Program string `json:"program,omitempty"` // the version of quantus-miner-nats
	Address string `json:"address,omitempty"`
	Error   string `json:"error,omitempty"`
}

// WriteLine writes a [Setup] or an [Answer].
func WriteLine[M Setup | Answer](w io.Writer, line M) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encoding a line: %w", err)
	}
	if len(text) >= MaxLine {
		return fmt.Errorf("a line of %d bytes is too long", len(text))
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// ReadLine reads a [Setup] or an [Answer], by a reader whose buffer has [MaxLine] bytes.
func ReadLine[M Setup | Answer](r *bufio.Reader) (line M, err error) {
	text, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return line, fmt.Errorf("the first line is longer than %d bytes", MaxLine)
	case err != nil:
		return line, err
	}
	var version struct {
		Wire int `json:"wire"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return line, fmt.Errorf("the first line is another one than it must be: %w", err)
	}
	if version.Wire != SetupVersion {
		return line, fmt.Errorf("the first line is of version %d, and this program's of version %d: both must be of the same release", version.Wire, SetupVersion)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		return line, fmt.Errorf("the first line is another one than it must be: %w", err)
	}
	return line, nil
}
