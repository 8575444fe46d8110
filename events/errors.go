package events

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the log itself. Everything a user can cause is an *Error instead.
var (
	// ErrConflict: another process appended first; read on and decide again.
	ErrConflict = errors.New("the log has moved on")
	// ErrChainBroken: a stored row does not continue the hash chain.
	ErrChainBroken = errors.New("hash chain broken")
	// ErrRedacted: the event's data was removed on purpose.
	ErrRedacted = errors.New("event data was redacted")
	// ErrUnknownType: written by a newer version of this program.
	ErrUnknownType = errors.New("unknown event type or schema")
)

// Code is the stable, machine-readable part of an Error.
type Code string

// The codes. http maps each to one status; http/client maps it back.
const (
	CodeInvalid           Code = "invalid"            // the request makes no sense; Fields says where
	CodeUnauthenticated   Code = "unauthenticated"    // no or bad credentials
	CodeForbidden         Code = "forbidden"          // known, visible, not allowed
	CodeNotFound          Code = "not_found"          // absent or not visible: the same
	CodeConflict          Code = "conflict"           // the state does not allow it
	CodeNameTaken         Code = "name_taken"         // user name or board key exists
	CodeVersionMismatch   Code = "version_mismatch"   // If-Match failed; Version is the current one
	CodeWIPLimit          Code = "wip_limit"          // the column is full
	CodeColumnNotEmpty    Code = "column_not_empty"   // tickets are inside
	CodeArchived          Code = "archived"           // restore it first
	CodeClaimed           Code = "claimed"            // somebody holds the ticket
	CodeStaleClaim        Code = "stale_claim"        // the caller's claim has ended
	CodeClaimLimit        Code = "claim_limit"        // the caller holds as many as the board allows
	CodeNothingReady      Code = "nothing_ready"      // no ticket to claim
	CodeBlocked           Code = "blocked"            // it depends on tickets that are not done
	CodeCycle             Code = "dependency_cycle"   // the tickets would wait for each other
	CodePolicy            Code = "policy"             // the column asks for something; Fields says what
	CodePaused            Code = "paused"             // the agent was paused
	CodeFrozen            Code = "frozen"             // the board was frozen
	CodeBuiltOn           Code = "built_on"           // cannot be undone: later changes rest on it
	CodeIdempotencyReused Code = "idempotency_reused" // same key, other body
	CodeTooLarge          Code = "too_large"
	CodeRateLimited       Code = "rate_limited"
	CodeUnavailable       Code = "unavailable" // try again after a moment
	CodeStorageFull       Code = "storage_full"
	CodeMethodNotAllowed  Code = "method_not_allowed"
	CodeInternal          Code = "internal"
)

// Error is an error meant for the user: what happened and what can be done, in
// plain words, with a code that survives the wire.
type Error struct {
	Code    Code
	Message string
	// Fields locates what is wrong in a request: field path to reason.
	Fields map[string]string
	// Version is the current version where Code is CodeVersionMismatch, and
	// Since the version the caller had.
	Version, Since int64
	// RetryAfter is how long to wait before trying again, 0 = unknown; set
	// where Code is CodeRateLimited or CodeUnavailable.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an *Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the *Error in err's chain, "" for a nil error and
// CodeInternal for any other.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	default:
		return CodeInternal
	}
}
