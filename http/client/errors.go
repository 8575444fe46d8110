package client

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// wireProblem is the application/problem+json of the server: RFC 9457 with the
// stable code, and for a conflict what the client needs to go on.
type wireProblem struct {
	Title   string            `json:"title"`
	Detail  string            `json:"detail"`
	Code    events.Code       `json:"code"`
	Fields  map[string]string `json:"fields"`
	Version int64             `json:"current_version"`
	Since   int64             `json:"since"`
	Errors  []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// problem rebuilds the error that the server raised. Whatever stands between
// (a proxy) may answer without a code: then the status tells.
func problem(res *http.Response, body []byte) *events.Error {
	var p wireProblem
	_ = json.Unmarshal(body, &p) // an unreadable body leaves everything empty
	e := &events.Error{
		Code: p.Code, Message: p.Detail, Fields: p.Fields, Version: p.Version, Since: p.Since, RetryAfter: max(retryAfter(res), 0),
	}
	if e.Code == "" {
		e.Code = codeOf(res.StatusCode)
	}
	if e.Message == "" {
		e.Message = p.Title
	}
	if e.Message == "" {
		e.Message = "the server answered " + strings.ToLower(http.StatusText(res.StatusCode))
	}
	for _, f := range p.Errors {
		if e.Fields == nil {
			e.Fields = make(map[string]string)
		}
		e.Fields[f.Location] = f.Message
	}
	return e
}

// codeOf is the server's table the other way round, for replies without a code;
// a test holds the two together.
func codeOf(status int) events.Code {
	switch status {
	case http.StatusUnauthorized:
		return events.CodeUnauthenticated
	case http.StatusForbidden:
		return events.CodeForbidden
	case http.StatusNotFound:
		return events.CodeNotFound
	case http.StatusMethodNotAllowed:
		return events.CodeMethodNotAllowed
	case http.StatusConflict:
		return events.CodeConflict
	case http.StatusPreconditionFailed:
		return events.CodeVersionMismatch
	case http.StatusRequestEntityTooLarge:
		return events.CodeTooLarge
	case http.StatusTooManyRequests:
		return events.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return events.CodeUnavailable
	case http.StatusInsufficientStorage:
		return events.CodeStorageFull
	case http.StatusUnprocessableEntity:
		return events.CodeIdempotencyReused
	case http.StatusBadRequest:
		return events.CodeInvalid
	default:
		return events.CodeInternal
	}
}
