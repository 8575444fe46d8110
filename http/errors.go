package http

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agent-kanban/agent-kanban/events"
)

// statuses is the one table between codes and HTTP.
var statuses = map[events.Code]int{
	events.CodeInvalid:           http.StatusBadRequest,
	events.CodeUnauthenticated:   http.StatusUnauthorized,
	events.CodeForbidden:         http.StatusForbidden,
	events.CodeNotFound:          http.StatusNotFound,
	events.CodeMethodNotAllowed:  http.StatusMethodNotAllowed,
	events.CodeConflict:          http.StatusConflict,
	events.CodeNameTaken:         http.StatusConflict,
	events.CodeWIPLimit:          http.StatusConflict,
	events.CodeColumnNotEmpty:    http.StatusConflict,
	events.CodeArchived:          http.StatusConflict,
	events.CodeClaimed:           http.StatusConflict,
	events.CodeStaleClaim:        http.StatusConflict,
	events.CodeClaimLimit:        http.StatusConflict,
	events.CodeNothingReady:      http.StatusConflict,
	events.CodeBlocked:           http.StatusConflict,
	events.CodeCycle:             http.StatusConflict,
	events.CodePolicy:            http.StatusConflict,
	events.CodePaused:            http.StatusForbidden,
	events.CodeFrozen:            http.StatusConflict,
	events.CodeBuiltOn:           http.StatusConflict,
	events.CodeVersionMismatch:   http.StatusPreconditionFailed,
	events.CodeTooLarge:          http.StatusRequestEntityTooLarge,
	events.CodeIdempotencyReused: http.StatusUnprocessableEntity,
	events.CodeRateLimited:       http.StatusTooManyRequests,
	events.CodeInternal:          http.StatusInternalServerError,
	events.CodeUnavailable:       http.StatusServiceUnavailable,
	events.CodeStorageFull:       http.StatusInsufficientStorage,
}

// Status returns the HTTP status of a code, 500 for one it does not know.
func Status(code events.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// Problem is the JSON of every refusal, application/problem+json of RFC 9457
// with our extensions.
type Problem struct {
	Type   string      `json:"type" doc:"Always about:blank; tell problems apart by code"`
	Title  string      `json:"title" doc:"The text of the status"`
	Status int         `json:"status"`
	Detail string      `json:"detail" doc:"What happened and what to do, in plain words"`
	Code   events.Code `json:"code" doc:"Stable, machine-readable"`
	// Fields locates what is wrong in a request: field path to reason.
	Fields map[string]string `json:"fields,omitempty"`
	// CurrentVersion, Since and NewerEvents come with version_mismatch: what
	// happened to the ticket or board after the version the client had.
	CurrentVersion int64           `json:"current_version,omitempty"`
	Since          int64           `json:"since,omitempty"`
	NewerEvents    json.RawMessage `json:"newer_events,omitempty"`
	RequestID      string          `json:"request_id,omitempty"`
}

var _ huma.StatusError = (*Problem)(nil)

func (p *Problem) Error() string { return p.Detail }

// GetStatus is what huma asks for.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma send RFC 9457's media type.
func (p *Problem) ContentType(string) string { return problemJSON }

const problemJSON = "application/problem+json"

func newProblem(e *events.Error) *Problem {
	status := Status(e.Code)
	p := &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Fields: e.Fields,
	}
	if e.Code == events.CodeVersionMismatch {
		p.CurrentVersion, p.Since = e.Version, e.Since
	}
	return p
}

var errInternal = events.Errorf(events.CodeInternal,
	"Something went wrong in the server. Try again; if it persists, give the request id to the operator.")

// userError turns any error into one that may leave the server.
func userError(err error) *events.Error {
	var e *events.Error
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &p):
		return &events.Error{Code: p.Code, Message: p.Detail, Fields: p.Fields}
	case errors.As(err, &tooLarge):
		return errBodyTooLarge
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return events.Errorf(events.CodeUnavailable, "The request took too long. Try again.")
	default:
		return errInternal
	}
}

var errBodyTooLarge = events.Errorf(events.CodeTooLarge, "The body is larger than %d bytes. Send less.", maxBody)

// humaHooks replaces huma's process-wide error constructor, once: its own
// echoes the input, so that a misspelt field in a login would return the
// password.
var humaHooks = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return humaProblem(status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := humaProblem(status, msg, errs)
		p.RequestID = callOf(ctx.Context()).id
		return p
	}
})

// humaProblem is what huma found before a handler ran: a parameter or a body
// that cannot be read. Values are left out.
func humaProblem(status int, msg string, errs []error) *Problem {
	e := &events.Error{Code: events.CodeInvalid}
	var plain []string
	for _, err := range errs {
		var detail *huma.ErrorDetail
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return newProblem(errBodyTooLarge)
		case errors.As(err, &detail):
			if mine := decodeErrorIn(detail.Message); mine != nil {
				return newProblem(mine)
			}
			_, name, found := strings.Cut(detail.Location, ".")
			if !found {
				name = detail.Location
			}
			if e.Fields == nil {
				e.Fields = make(map[string]string, len(errs))
			}
			e.Fields[name] = detail.Message
			plain = append(plain, name+": "+detail.Message)
		}
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return newProblem(errBodyTooLarge)
	case strings.HasPrefix(msg, "cannot read request body"):
		e.Message = "The body could not be read to its end."
	case status >= http.StatusInternalServerError:
		return newProblem(errInternal)
	case len(plain) > 0:
		e.Message = "The request is not valid: " + strings.Join(plain, "; ") + "."
	default:
		e.Message = "The request is not valid: " + msg + "."
	}
	return newProblem(e)
}

// decodeError takes an error of ours through huma, which keeps the text alone
// of what decoding a body returned.
type decodeError struct{ e *events.Error }

const decodeMark = "\x00"

func (d decodeError) Error() string {
	text, _ := json.Marshal(d.e.Fields) // a map of strings always encodes
	return decodeMark + d.e.Message + decodeMark + string(text)
}

func decodeErrorIn(text string) *events.Error {
	parts := strings.Split(text, decodeMark)
	if len(parts) != 3 {
		return nil
	}
	e := &events.Error{Code: events.CodeInvalid, Message: parts[1]}
	_ = json.Unmarshal([]byte(parts[2]), &e.Fields) // what Error wrote
	return e
}

// fail writes a refusal; an error that is not the user's is logged, since this
// is where it ends.
func (s *Server) fail(c *call, err error) {
	e := userError(err)
	if e.Code == events.CodeInternal && !errors.Is(err, context.Canceled) {
		s.log.Error("request failed", "request_id", c.id, "method", c.gin.Request.Method, "path", c.gin.FullPath(), "error", err)
	}
	p := newProblem(e)
	var with *Problem
	if errors.As(err, &with) {
		p.NewerEvents, p.CurrentVersion, p.Since = with.NewerEvents, with.CurrentVersion, with.Since
	}
	p.RequestID = c.id
	h := c.gin.Writer.Header()
	switch e.Code {
	case events.CodeUnauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="kanban"`)
	case events.CodeUnavailable, events.CodeRateLimited, events.CodeStorageFull:
		seconds := int64(e.RetryAfter.Seconds() + 0.999)
		h.Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
	}
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	s.send(c, p.Status, problemJSON, p)
}
