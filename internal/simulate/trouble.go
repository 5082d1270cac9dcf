package simulate

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"net"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// Trouble is what is wrong with a [QUICNode], or with the way to it. The zero value
// is a node that is well.
type Trouble struct {
	// Token is asked for instead of the identity's, unless it is empty.
	Token string
	// ALPN is spoken instead of what miners speak, unless it is empty.
	ALPN string
	// Certificate is shown instead of the identity's, unless it is nil.
	Certificate *tls.Certificate
	// Quiet has miners wait for a job, as a node does that syncs.
	Quiet bool
	// Impossible has miners search for what is not to be found.
	Impossible bool
	// Refuse has a valid seal be of no use to the node, which waits for another one
	// of the same job, in silence.
	Refuse bool
	// Repeat is how many times too often each job is sent.
	Repeat int
	// Pieces has frames arrive byte by byte.
	Pieces bool
	// Fields adds fields to each job that nobody knows.
	Fields bool
	// Mute has no packet arrive any more, in either direction.
	Mute bool
	// Loss is the share of packets that do not arrive, from 0 to 1.
	Loss float64
}

// newJob returns the frames that tell miners of a job.
func (t Trouble) newJob(job wire.NewJob) (frames [][]byte, err error) {
	var frame bytes.Buffer
	if err := wire.Write(&frame, job); err != nil {
		return nil, err
	}
	told := frame.Bytes()
	if t.Fields {
		told = inFrame(bytes.Replace(told[frameHead:], []byte(`{"job_id"`),
			[]byte(`{"colour":"green","chain":{"name":null,"job_id":["0"]},"job_id"`), 1))
	}
	for range 1 + t.Repeat {
		frames = append(frames, told)
	}
	return frames, nil
}

// pieces returns a frame as it is sent, part by part.
func (t Trouble) pieces(frame []byte) (parts [][]byte) {
	if !t.Pieces {
		return [][]byte{frame}
	}
	for i := range frame {
		parts = append(parts, frame[i:i+1])
	}
	return parts
}

// frameHead is how many bytes of a frame say how many follow.
const frameHead = 4

// inFrame returns a frame with any content, of any length.
func inFrame(content []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// lossyConn is a UDP socket that loses packets.
type lossyConn struct {
	net.PacketConn
	socket *net.UDPConn // the same
	lost   func() bool
}

// ReadFrom implements [net.PacketConn].
func (c lossyConn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(p)
		if err != nil || !c.lost() {
			return n, from, err
		}
	}
}

// WriteTo implements [net.PacketConn].
func (c lossyConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if c.lost() {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, to)
}

// SetReadBuffer is asked for by the implementation of QUIC.
func (c lossyConn) SetReadBuffer(bytes int) error { return c.socket.SetReadBuffer(bytes) }

// SetWriteBuffer is asked for, too.
func (c lossyConn) SetWriteBuffer(bytes int) error { return c.socket.SetWriteBuffer(bytes) }

// loses reports whether the next packet is lost.
func (t Trouble) loses() bool { return t.Mute || t.Loss > 0 && rand.Float64() < t.Loss }
