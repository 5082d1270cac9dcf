package simulate

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// runningPool is a pool of a test's that runs.
type runningPool struct {
	*Pool
	ended chan struct{}
	err   error // when it has
}

// startPool runs a pool until the test ends, after it was changed. Its shares are easy.
func startPool(t *testing.T, log io.Writer, change func(*Pool)) *runningPool {
	t.Helper()
	identity, err := NewPoolIdentity("")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ListenPool("127.0.0.1:0", identity, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	p.ShareTime, p.Difficulty, p.Grace = time.Minute, 16, time.Minute
	if change != nil {
		change(p)
	}
	r := &runningPool{Pool: p, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.ended)
		defer p.Close()
		r.err = p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// wait returns how the run ended.
func (r *runningPool) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Fatal("the pool runs on")
	}
	return r.err
}

// poolMiner is the other side of a pool's: a miner as a test plays it.
type poolMiner struct {
	t          *testing.T
	conn       net.Conn
	in         *bufio.Reader
	session    string
	extranonce string
	job        poolTestJob
	requests   int
	next       uint64 // the nonce to be tried, below the extranonce
}

type poolTestJob struct {
	Algo       string
	JobID      string `json:"job_id"`
	Hash       string `json:"mining_hash"`
	Extranonce string
	Target     string
	Difficulty json.Number
	Seq        *uint64
}

// told is a line of a pool's, of any kind.
type poolTold struct {
	ID     json.RawMessage
	Method string
	Params poolTestParams
	Result *struct {
		ID         string
		Status     string
		Extensions []string
		Job        *poolTestJob
	}
	Error json.RawMessage
}

type poolTestParams struct{ Job *poolTestJob }

// UnmarshalJSON does not mind params of other notifications than of jobs.
func (p *poolTestParams) UnmarshalJSON(text []byte) error {
	type plain poolTestParams
	_ = json.Unmarshal(text, (*plain)(p))
	return nil
}

// dialPool connects to a pool until the test ends.
func dialPool(t *testing.T, p *runningPool) *poolMiner {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	return newPoolMiner(t, conn)
}

func newPoolMiner(t *testing.T, conn net.Conn) *poolMiner {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &poolMiner{t: t, conn: conn, in: bufio.NewReaderSize(conn, maxPoolLine)}
}

// say sends a line.
func (m *poolMiner) say(format string, args ...any) {
	m.t.Helper()
	if _, err := fmt.Fprintf(m.conn, format+"\n", args...); err != nil {
		m.t.Fatal(err)
	}
}

// hear reads a line. encoding/json does not mind the case of names, so odd lines are not for
// it.
func (m *poolMiner) hear() (told poolTold) {
	m.t.Helper()
	text, err := m.in.ReadSlice('\n')
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &told); err != nil {
		m.t.Fatalf("%s: %v", text, err)
	}
	if told.Params.Job != nil {
		m.job = *told.Params.Job
	}
	if told.Result != nil && told.Result.Job != nil {
		m.job = *told.Result.Job
	}
	return told
}

// login opens a session, and waits for a job.
func (m *poolMiner) login() *poolMiner {
	m.t.Helper()
	m.say(`{"id":1,"method":"login","params":{"login":"%s","pass":"x","agent":"test"}}`, PoolUser)
	for m.session == "" || m.job.JobID == "" {
		if told := m.hear(); told.Result != nil {
			m.session = told.Result.ID
		}
	}
	m.extranonce = m.job.Extranonce
	return m
}

// rule returns the job as the miner reads it.
func (j poolTestJob) rule() poseidon2.Reference {
	header, err := hex.DecodeString(j.Hash)
	if err != nil {
		panic(err)
	}
	target, err := u512.ParseHex(j.Target)
	if err != nil {
		panic(err)
	}
	return poseidon2.Reference{Header: [32]byte(header), Target: target}
}

// nonce returns the next nonce of the job that is valid, or is not.
func (m *poolMiner) nonce(valid bool) string {
	rule := m.job.rule()
	for {
		m.next++
		digits := m.extranonce + fmt.Sprintf("%0120x", m.next)
		nonce, err := u512.ParseHex(digits)
		if err != nil {
			panic(err)
		}
		if _, ok := rule.Verify(nonce); ok == valid {
			return digits
		}
	}
}

// submit sends a share.
func (m *poolMiner) submit(session, job, nonce string) {
	m.t.Helper()
	m.requests++
	m.say(`{"id":%d,"method":"submit","params":{"id":%s,"job_id":"%s","nonce":"%s"}}`, 100+m.requests, text(false, session), job, nonce)
}

// share sends a valid share of the present job.
func (m *poolMiner) share() (nonce string) {
	m.t.Helper()
	nonce = m.nonce(true)
	m.submit(m.session, m.job.JobID, nonce)
	return nonce
}

// gone waits until the pool closes the connection.
func (m *poolMiner) gone() {
	m.t.Helper()
	if _, err := io.Copy(io.Discard, m.in); errors.Is(err, os.ErrDeadlineExceeded) {
		m.t.Error("the connection stays")
	}
}

// mine finds shares, and does what the pool asks for, until the connection ends.
func (m *poolMiner) mine() {
	for {
		m.share()
		for answered := false; !answered; {
			text, err := m.in.ReadSlice('\n')
			if err != nil {
				return
			}
			told, err := readOdd(text)
			if err != nil {
				m.t.Errorf("%s: %v", text, err)
				return
			}
			switch {
			case told.Params.Job != nil:
				if told.Params.Job.difficulty() < 1000 {
					m.job = *told.Params.Job
				}
			case told.Method == "":
				answered = true
			case told.ID != nil:
				m.say(`{"id":%s,"error":{"code":-32601,"message":"what?"}}`, told.ID)
			}
		}
	}
}

// difficulty returns that of the job, and has its target, too, whatever of both is there.
func (j *poolTestJob) difficulty() uint64 {
	if j.Difficulty == "" {
		target, err := u512.ParseHex(j.Target)
		if err != nil {
			panic(err)
		}
		j.Difficulty = json.Number(poseidon2.Achieved(target).String())
	}
	difficulty, err := u512.ParseDecimal(j.Difficulty.String())
	if err != nil {
		panic(err)
	}
	j.Target = u512.Max().Div64(difficulty.Sat64()).PaddedHex()
	return difficulty.Sat64()
}

// readOdd reads a line in which there may be members that nobody knows.
func readOdd(text []byte) (told poolTold, err error) {
	var tidy func(v any) any
	tidy = func(v any) any {
		if object, ok := v.(map[string]any); ok {
			for name, value := range object {
				if strings.ToLower(name) != name {
					delete(object, name)
				} else {
					object[name] = tidy(value)
				}
			}
		}
		return v
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var any any
	if err := d.Decode(&any); err != nil {
		return told, err
	}
	text, err = json.Marshal(tidy(any))
	if err != nil {
		return told, err
	}
	return told, json.Unmarshal(text, &told)
}
