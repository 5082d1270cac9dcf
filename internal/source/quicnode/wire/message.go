package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Message is a [Ready], a [NewJob] or a [JobResult]. In JSON it is an object with
// one member, whose name is the message's.
type Message interface {
	// wire returns the message's name, and its fields as JSON has them.
	wire() (name string, fields any, err error)
}

// Ready is a miner's first message.
type Ready struct {
	// Token is what the node knows its miners by, as [ParseToken] returns it. It is a
	// secret.
	Token string
}

// MaxToken is the greatest length of a token in bytes.
const MaxToken = 512

// ParseToken returns a token without the white space around it, such as the end of a
// file's line. It must have 1 to MaxToken bytes, and Ready must fit a frame with it: in
// JSON some characters take six bytes. No error quotes it.
func ParseToken(text string) (string, error) {
	m := Ready{Token: strings.TrimSpace(text)}
	if err := m.check(); err != nil {
		return "", err
	}
	if _, err := encode(m); err != nil {
		return "", fmt.Errorf("the token is too long for a frame: %w", err)
	}
	return m.Token, nil
}

// NewJob is what a node wants searched, in place of what it wanted before. Two of
// them are the same job if they are equal.
type NewJob struct {
	// ID names the job for as long as the connection lasts. It is not empty, and
	// leaves room for the rest of a JobResult.
	ID string
	// Header is the mining hash to search for.
	Header [32]byte
	// Difficulty is above 0.
	Difficulty u512.Uint
}

// JobResult is how a job has ended for a miner.
type JobResult struct {
	// Status is one of the words of the node's HTTP API, such as [Completed].
	Status string
	// JobID is the job's name.
	JobID string
	// Nonce is the winning nonce if the status is Completed. Otherwise it is 0.
	Nonce u512.Uint
	// HashCount is the number of nonces evaluated.
	HashCount uint64
	// ElapsedTime is how long that took, in seconds: finite, and not negative.
	ElapsedTime float64
}

// Completed is the status of a job in which a valid nonce was found.
const Completed = "completed"

// statuses are the words that a result's status may be.
var statuses = []string{"accepted", "running", Completed, "failed", "cancelled", "not_found", "error"}

// The names of the messages and of their fields.
const (
	ready       = "Ready"
	newJob      = "NewJob"
	jobResult   = "JobResult"
	token       = "token"
	jobID       = "job_id"
	miningHash  = "mining_hash"
	difficulty  = "difficulty"
	status      = "status"
	nonce       = "nonce"
	work        = "work"
	hashCount   = "hash_count"
	elapsedTime = "elapsed_time"
)

func (m Ready) wire() (string, any, error) {
	return ready, struct {
		Token string `json:"token"`
	}{m.Token}, m.check()
}

func (m Ready) check() error {
	switch {
	case m.Token == "":
		return errors.New("the token must not be empty")
	case len(m.Token) > MaxToken:
		return fmt.Errorf("the token must not exceed %d bytes", MaxToken)
	case !utf8.ValidString(m.Token):
		return errors.New("the token must be valid UTF-8")
	case strings.TrimSpace(m.Token) != m.Token:
		return errors.New("the token must not have white space around it")
	}
	return nil
}

func (m NewJob) wire() (string, any, error) {
	return newJob, struct {
		JobID      string `json:"job_id"`
		MiningHash string `json:"mining_hash"`
		Difficulty string `json:"difficulty"`
	}{m.ID, hex.EncodeToString(m.Header[:]), m.Difficulty.String()}, m.check()
}

func (m NewJob) check() error {
	if m.ID == "" {
		return errors.New("job_id must not be empty")
	}
	if m.Difficulty.IsZero() {
		return errors.New("difficulty must be above 0")
	}
	// Or nobody could say what was found.
	longest := JobResult{Completed, m.ID, u512.Max(), math.MaxUint64, math.MaxFloat64}
	if _, err := encode(longest); err != nil {
		return fmt.Errorf("job_id is too long for a result: %w", err)
	}
	return nil
}

func (m JobResult) wire() (string, any, error) {
	fields := struct {
		Status string `json:"status"`
		JobID  string `json:"job_id"`
		// Nonce and Work are null if the job was not completed.
		Nonce       *string `json:"nonce"`
		Work        *string `json:"work"`
		HashCount   uint64  `json:"hash_count"`
		ElapsedTime float64 `json:"elapsed_time"`
	}{Status: m.Status, JobID: m.JobID, HashCount: m.HashCount, ElapsedTime: m.ElapsedTime}
	if m.Status == Completed {
		nonce, work := m.Nonce.Hex(), m.Nonce.PaddedHex()
		fields.Nonce, fields.Work = &nonce, &work
	}
	return jobResult, fields, m.check()
}

func (m JobResult) check() error {
	switch {
	case !slices.Contains(statuses, m.Status):
		return errors.New("status must be one of the words that there are for it")
	case m.JobID == "":
		return errors.New("job_id must not be empty")
	case m.ElapsedTime < 0 || math.IsNaN(m.ElapsedTime) || math.IsInf(m.ElapsedTime, 0):
		return errors.New("elapsed_time must be a time")
	case m.Status != Completed && !m.Nonce.IsZero():
		return errors.New("a nonce is of jobs that are completed alone")
	}
	return nil
}

// encode returns the frame of a message.
func encode(m Message) ([]byte, error) {
	name, fields, err := m.wire()
	if err != nil {
		return nil, fmt.Errorf("a message that must not be sent: %w", err)
	}
	frame := bytes.NewBuffer(make([]byte, lengthSize, 512))
	e := json.NewEncoder(frame)
	e.SetEscapeHTML(false) // which would make six bytes of one
	if err := e.Encode(map[string]any{name: fields}); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", name, err)
	}
	frame.Truncate(frame.Len() - 1) // the encoder ends a line
	length := frame.Len() - lengthSize
	if length > MaxFrame {
		return nil, fmt.Errorf("%s takes %d bytes, and a frame has %d at most", name, length, MaxFrame)
	}
	binary.BigEndian.PutUint32(frame.Bytes(), uint32(length))
	return frame.Bytes(), nil
}

// decode reads a message. It is as strict as the decoder of a node: names have a
// case, those that are known must not be repeated, null is no value. Other fields
// are ignored; another message is an error. No error quotes a token.
func decode(content []byte) (Message, error) {
	object, err := strictjson.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("a frame is %w", err)
	}
	if len(object) != 1 {
		return nil, fmt.Errorf("a frame is an object of %d names: it must be of one, the message's", len(object))
	}
	for name, values := range object {
		if len(values) != 1 {
			return nil, errors.New("a frame repeats the name of its message")
		}
		read, known := map[string]func(fields) Message{ready: decodeReady, newJob: decodeNewJob, jobResult: decodeJobResult}[name]
		if !known {
			return nil, fmt.Errorf("an unknown message: %.64q", name)
		}
		object, err := strictjson.Parse(values[0])
		if err != nil {
			return nil, fmt.Errorf("%s is %w", name, err)
		}
		f := fields{object, new(error)}
		m := read(f)
		if *f.problem != nil {
			return nil, fmt.Errorf("%s: %w", name, *f.problem)
		}
		return m, nil
	}
	panic("unreachable: the object has a name")
}

func decodeReady(f fields) Message {
	m := Ready{Token: field[string](f, token)}
	f.complain(m.check())
	return m
}

func decodeNewJob(f fields) Message {
	m := NewJob{ID: field[string](f, jobID)}
	if hash := field[string](f, miningHash); len(hash) != hex.EncodedLen(len(m.Header)) {
		f.complain(errors.New("mining_hash must be 64 hex digits"))
	} else if _, err := hex.Decode(m.Header[:], []byte(hash)); err != nil {
		f.complain(errors.New("mining_hash must be 64 hex digits"))
	}
	var err error
	if m.Difficulty, err = u512.ParseDecimal(field[string](f, difficulty)); err != nil {
		f.complain(errors.New("difficulty must be a decimal number below 2^512"))
	}
	f.complain(m.check())
	return m
}

func decodeJobResult(f fields) Message {
	m := JobResult{
		Status:      field[string](f, status),
		JobID:       field[string](f, jobID),
		HashCount:   field[uint64](f, hashCount),
		ElapsedTime: field[float64](f, elapsedTime),
	}
	if m.Status == Completed {
		x, err := u512.ParseHex(field[string](f, nonce))
		if m.Nonce = x; err != nil || x.Hex() != field[string](f, nonce) {
			f.complain(errors.New("nonce must be lower-case hex without leading zeros"))
		}
		if x.PaddedHex() != field[string](f, work) {
			f.complain(errors.New("work must be the nonce in 128 lower-case hex digits"))
		}
	} else {
		for _, name := range []string{nonce, work} {
			if values := f.object[name]; len(values) > 1 || len(values) == 1 && string(values[0]) != "null" {
				f.complain(fmt.Errorf("field %s must be null unless the job is completed", name))
			}
		}
	}
	f.complain(m.check())
	return m
}

// fields are those of a message. The first thing that is wrong with them is kept.
type fields struct {
	object  strictjson.Object
	problem *error
}

func (f fields) complain(err error) {
	if *f.problem == nil {
		*f.problem = err
	}
}

// field returns the value of a field that a message must have once.
func field[T any](f fields, name string) (value T) {
	values := f.object[name]
	if len(values) != 1 {
		f.complain(fmt.Errorf("field %s is there %d times, and must be once", name, len(values)))
		return value
	}
	var v *T // null is no error of Unmarshal's, but leaves it nil
	if err := json.Unmarshal(values[0], &v); err != nil || v == nil {
		f.complain(fmt.Errorf("field %s must be a %T", name, value))
		return value
	}
	return *v
}
