package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// MaxBody is the largest body of a request, in bytes. A job of the node's is
// about 600.
const MaxBody = 8 << 10

// maxHeader is the largest header of a request, in bytes, with its path: room for
// every job ID that a body can hold, even if each of its bytes is escaped (%41).
const maxHeader = 3*MaxBody + 8<<10

// api serves the endpoints for one miner.
type api struct {
	miner *mining.Miner
	log   *slog.Logger
}

// New returns the API of a miner.
func New(miner *mining.Miner, log *slog.Logger) http.Handler {
	return api{miner, log}
}

// NewServer returns a server for the API, with limits on how long a client can
// keep it waiting.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // with the body
		WriteTimeout:      10 * time.Second,
		// The node keeps idle connections for 90 s. If the server closed one
		// first, a request could race the closing, and the node drop its job.
		IdleTimeout:    3 * time.Minute,
		MaxHeaderBytes: maxHeader,
		// It would answer OPTIONS * without a body.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// The endpoints, by the first segment of their paths.
const (
	mine   = "mine"
	result = "result"
	cancel = "cancel"
)

// route names the endpoint of a path, "" if there is none, and the job ID in it.
//
// The routes are told apart here and not by http.ServeMux, as that answers with
// texts and redirects of its own where the node wants JSON, and takes some job
// IDs, such as "..", for a path to clean.
func route(u *url.URL) (endpoint, jobID string) {
	// The escaped path, so that an ID may contain a slash (%2F).
	endpoint, rest, hasID := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	jobID, err := url.PathUnescape(rest)
	switch {
	case endpoint == mine && !hasID:
		return mine, ""
	case (endpoint == result || endpoint == cancel) && jobID != "" && !strings.Contains(rest, "/") && err == nil:
		return endpoint, jobID
	default:
		return "", ""
	}
}

// ServeHTTP implements [http.Handler].
func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, jobID := route(r.URL)
	method := http.MethodPost
	if endpoint == result {
		method = http.MethodGet
	}
	switch {
	case endpoint == "":
		write(w, http.StatusNotFound, reply{Status: statusError, Message: "no such path: there are POST /mine, GET /result/{job_id} and POST /cancel/{job_id}"})
	case r.Method != method:
		w.Header().Set("Allow", method)
		message := "method not allowed: use " + method
		if endpoint == result {
			write(w, http.StatusMethodNotAllowed, jobResult{Status: statusError, JobID: jobID, Message: message})
		} else {
			write(w, http.StatusMethodNotAllowed, reply{Status: statusError, JobID: jobID, Message: message})
		}
	case endpoint == mine:
		a.mine(w, r)
	case endpoint == result:
		a.result(w, jobID)
	case endpoint == cancel:
		a.cancel(w, jobID)
	}
}

// mine starts a job.
func (a api) mine(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, jobID, message string) {
		a.log.Warn("job refused", "job", jobID, "reason", message, "remote", r.RemoteAddr)
		write(w, code, reply{Status: statusError, JobID: jobID, Message: message})
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		refuse(http.StatusUnsupportedMediaType, "", "Content-Type must be application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		refuse(http.StatusRequestEntityTooLarge, "", fmt.Sprintf("the body must not exceed %d bytes", MaxBody))
		return
	}
	if err != nil {
		refuse(http.StatusBadRequest, "", "reading the body: "+err.Error())
		return
	}
	request, err := decodeMine(body)
	if err != nil {
		refuse(http.StatusBadRequest, request.ID, err.Error())
		return
	}
	switch _, err := a.miner.Submit(request); {
	case err == nil:
		write(w, http.StatusOK, reply{Status: statusAccepted, JobID: request.ID})
	case errors.Is(err, mining.ErrExists):
		refuse(http.StatusConflict, request.ID, "Job already exists")
	case errors.Is(err, mining.ErrClosed):
		refuse(http.StatusServiceUnavailable, request.ID, "the miner is shutting down")
	default:
		refuse(http.StatusInternalServerError, request.ID, err.Error())
	}
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
func (a api) result(w http.ResponseWriter, jobID string) {
	job, known := a.miner.Job(jobID)
	if !known {
		write(w, http.StatusNotFound, jobResult{Status: statusNotFound, JobID: jobID})
		return
	}
	write(w, http.StatusOK, resultOf(job))
}

// cancel ends a job. A job that is over stays as it is, and is "cancelled" too.
func (a api) cancel(w http.ResponseWriter, jobID string) {
	if !a.miner.Cancel(jobID) {
		write(w, http.StatusNotFound, reply{Status: statusNotFound, JobID: jobID, Message: "Job not found"})
		return
	}
	write(w, http.StatusOK, reply{Status: mining.Cancelled.String(), JobID: jobID})
}
