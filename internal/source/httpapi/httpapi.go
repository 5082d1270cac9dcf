package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/connlimit"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// API serves the endpoints for one miner.
type API struct {
	miner     *mining.Miner
	log       *slog.Logger
	observer  Observer     // or nil
	limits    Limits       // none of them zero
	endpoints http.Handler // and what protects them
}

// Observer is told what happens at the API.
type Observer interface {
	// Answered says that a request to an endpoint ("mine", "result", "cancel" or
	// "other") gets an answer of that status code.
	Answered(endpoint string, code int)
	// Fetched says that the result of a completed job is handed out for the first
	// time, that long after its nonce was found.
	Fetched(jobID string, waited time.Duration)
	// FirstNonce says how long a job took from its receipt to its first nonces. A
	// worker calls it, so it must return at once.
	FirstNonce(after time.Duration)
}

// New returns the API of a miner. The observer may be nil.
func New(miner *mining.Miner, log *slog.Logger, observer Observer, limits Limits) *API {
	a := &API{miner: miner, log: log, observer: observer, limits: limits.orDefaults()}
	a.endpoints = http.HandlerFunc(a.serve)
	return a
}

// Protect has a handler decide on every request, before the API serves it, if it
// does: it calls the one or the other of what it is given. It is to be called before
// the API serves.
func (a *API) Protect(by func(next http.Handler, refuse func(w http.ResponseWriter, r *http.Request, code int, message string)) http.Handler) {
	a.endpoints = by(a.endpoints, a.refuse)
}

// lastWord is for telling a client that its time for sending a request is up.
const lastWord = time.Second

// NewServer returns a server for the API, whose handler has the same limits.
func NewServer(handler http.Handler, log *slog.Logger, limits Limits) *http.Server {
	limits = limits.orDefaults()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.Request / 2,
		ReadTimeout:       limits.Request,            // with the body
		WriteTimeout:      limits.Request + lastWord, // from the end of the header
		// The node keeps idle connections for 90 s. If the server closed one
		// first, a request could race the closing, and the node drop its job.
		IdleTimeout:    3 * time.Minute,
		MaxHeaderBytes: 2 * limits.Header,
		// It would answer OPTIONS * without a body.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	connlimit.Apply(server, limits.Connections, log)
	return server
}

// The endpoints, by the first segment of their paths.
const (
	mine   = "mine"
	result = "result"
	cancel = "cancel"
	other  = "other" // whatever is none of these
)

// route names the endpoint of a path, and the job ID in it.
//
// The routes are told apart here and not by http.ServeMux, as that answers with
// texts and redirects of its own where the node wants JSON, and takes some job
// IDs, such as "..", for a path to clean.
func route(u *url.URL) (endpoint, jobID string) {
	// The escaped path, so that an ID may contain a slash (%2F). A node whose URL of
	// the miner ends with a slash asks for //mine.
	endpoint, rest, hasID := strings.Cut(strings.TrimLeft(u.EscapedPath(), "/"), "/")
	jobID, err := url.PathUnescape(rest)
	switch {
	case endpoint == mine && !hasID:
		return mine, ""
	case (endpoint == result || endpoint == cancel) && jobID != "" && !strings.Contains(rest, "/") && err == nil:
		return endpoint, jobID
	default:
		return other, ""
	}
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case connlimit.Refused(w, r):
		a.refuse(w, r, http.StatusServiceUnavailable, "too many connections are open: close those that are not needed, or come again")
	case headerSize(r) > a.limits.Header:
		a.refuse(w, r, http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the header must not exceed %d bytes", a.limits.Header))
	default:
		a.endpoints.ServeHTTP(w, r)
	}
}

// refuse refuses a request before it is looked at any closer: no job is named, as the
// name may be as long as the header.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, code int, message string) {
	endpoint, _ := route(r.URL)
	a.write(w, endpoint, code, refusal(endpoint, "", message))
}

// serve serves a request that nothing stands against.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	endpoint, jobID := route(r.URL)
	code, body := a.answer(w, r, endpoint, jobID)
	a.write(w, endpoint, code, body)
}

// write tells the observer of an answer, before the client can know, and sends it.
func (a *API) write(w http.ResponseWriter, endpoint string, code int, body any) {
	if a.observer != nil {
		a.observer.Answered(endpoint, code)
	}
	write(w, code, body)
}

// answer does what a request asks for, and returns what is to be said: a reply
// or a jobResult. It leaves the writing to its caller, but for headers.
func (a *API) answer(w http.ResponseWriter, r *http.Request, endpoint, jobID string) (code int, body any) {
	method := http.MethodPost
	if endpoint == result {
		method = http.MethodGet
	}
	switch {
	case endpoint == other:
		return http.StatusNotFound, refusal(endpoint, "", "no such path: there are POST /mine, GET /result/{job_id} and POST /cancel/{job_id}")
	case r.Method != method:
		w.Header().Set("Allow", method)
		return http.StatusMethodNotAllowed, refusal(endpoint, jobID, "method not allowed: use "+method)
	case endpoint == mine:
		return a.mine(w, r)
	case endpoint == result:
		return a.result(jobID)
	default:
		return a.cancel(jobID)
	}
}

// mine starts a job.
func (a *API) mine(w http.ResponseWriter, r *http.Request) (int, reply) {
	refuse := func(code int, jobID, message string) (int, reply) {
		a.log.Warn("job refused", "job", jobID, "reason", message, "remote", r.RemoteAddr)
		return code, reply{Status: statusError, JobID: jobID, Message: message}
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return refuse(http.StatusUnsupportedMediaType, "", "Content-Type must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(a.limits.Body)))
	received := time.Now()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(http.StatusRequestEntityTooLarge, "", fmt.Sprintf("the body must not exceed %d bytes", a.limits.Body))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // net/http will close the connection
		return refuse(http.StatusRequestTimeout, "", fmt.Sprintf("the body must arrive within %s", a.limits.Request))
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "", "reading the body: "+err.Error())
	}
	request, err := decodeMine(body, a.limits.JobID)
	if err != nil {
		return refuse(http.StatusBadRequest, request.ID, err.Error())
	}
	request.Received = received
	if a.observer != nil {
		request.FirstNonce = a.observer.FirstNonce
	}
	_, err = a.miner.Submit(request)
	if busy, ok := errors.AsType[*mining.BusyError](err); ok {
		w.Header().Set("Retry-After", retryAfter(busy.RetryAfter))
		return refuse(http.StatusTooManyRequests, request.ID, busy.Error())
	}
	if threshold, ok := errors.AsType[*mining.ThresholdError](err); ok {
		return refuse(http.StatusBadRequest, request.ID, "distance_threshold: "+threshold.Error())
	}
	switch {
	case err == nil:
		return http.StatusOK, reply{Status: statusAccepted, JobID: request.ID}
	case errors.Is(err, mining.ErrExists):
		return refuse(http.StatusConflict, request.ID, "Job already exists")
	case errors.Is(err, mining.ErrClosed): // and nobody knows for how long: no Retry-After
		return refuse(http.StatusServiceUnavailable, request.ID, "the miner is shutting down")
	case errors.Is(err, mining.ErrNoEngine):
		return refuse(http.StatusServiceUnavailable, request.ID, err.Error())
	default:
		return refuse(http.StatusInternalServerError, request.ID, err.Error())
	}
}

// retryAfter puts a wait into the words of that header: whole seconds, not too few
// of them, and not none, after which a client would come again at once.
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// isJSON says whether a body of that Content-Type is taken for JSON. None at all is.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	// The suffix is of types that are JSON, too (RFC 6839, section 3.1).
	return (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)) &&
		(mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
}

// result answers with the state of a job.
func (a *API) result(jobID string) (int, jobResult) {
	job, known := a.miner.Job(jobID)
	if !known {
		return http.StatusNotFound, jobResult{Status: statusNotFound, JobID: jobID}
	}
	r := resultOf(job)
	if a.observer != nil && r.Nonce != nil {
		if waited, first := job.FirstFetch(); first {
			a.observer.Fetched(jobID, waited)
		}
	}
	return http.StatusOK, r
}

// cancel ends a job. A job that is over stays as it is, and is "cancelled" too.
func (a *API) cancel(jobID string) (int, reply) {
	if !a.miner.Cancel(jobID) {
		return http.StatusNotFound, reply{Status: statusNotFound, JobID: jobID, Message: "Job not found"}
	}
	return http.StatusOK, reply{Status: mining.Cancelled.String(), JobID: jobID}
}
