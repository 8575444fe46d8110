package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

var (
	errInternal = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "Something went wrong in the server. Its log says what."}
	errTooLarge = events.Errorf(events.CodeTooLarge, "The reply would be too large.")
)

// problem is a refusal as the model reads it.
type problem struct {
	Code    events.Code       `json:"code"`
	Message string            `json:"message"`
	Next    string            `json:"next,omitempty"` // what to do now
	Fields  map[string]string `json:"fields,omitempty"`
	// RetryAfter is in seconds.
	RetryAfter int64 `json:"retry_after,omitempty"`
}

// next says what to do after a refusal, in terms of the tools.
var next = map[events.Code]string{
	events.CodeInvalid:         "Correct the arguments and call again.",
	events.CodeUnauthenticated: "The token is missing, wrong or expired. Tell the person you work for that it must be replaced; stop until then.",
	events.CodeForbidden:       "Claim the ticket first if you can; otherwise choose something else, or ask a pm of the board in a comment.",
	events.CodeNotFound:        "Check the key with list_boards or find_tickets; boards that you are no member of are not shown.",
	events.CodeConflict:        "Look at the ticket with get_ticket and decide again.",
	events.CodeVersionMismatch: "Read the ticket again with get_ticket and decide again.",
	events.CodeWIPLimit:        "The column is full. Finish or release something in it, or choose another column; board_summary shows the room.",
	events.CodeArchived:        "It is archived; a pm must restore it first. Choose another.",
	events.CodeClaimed:         "Work on another one: claim_next picks the best that is ready. If you hold it already, go on with the fence you were given.",
	events.CodeStaleClaim:      "Your claim has ended and somebody else may hold the ticket: stop working on it. Look with get_ticket, and claim it again with claim_next if it is free.",
	events.CodeClaimLimit:      "Complete or release a ticket that you hold; board_summary shows which.",
	events.CodeNothingReady:    "Call claim_next with wait_seconds, or see with board_summary what is blocked.",
	events.CodeBlocked:         "Do first what it waits for (depends_on), or take another with claim_next.",
	events.CodeCycle:           "Leave out one of the dependencies on the path.",
	events.CodePolicy:          "The column asks for what fields say. Do it with update_ticket (check, evidence, request_approval), then try again; only a pm can approve.",
	events.CodePaused:          "You were paused by a person. Stop; do not try again until told to.",
	events.CodeFrozen:          "The board was frozen by a person. Send heartbeats to keep your claim, and try again later.",
	events.CodeRateLimited:     "You are too fast. Wait retry_after seconds, then go on more slowly.",
	events.CodeTooLarge:        "Send or ask for less at once.",
	events.CodeNameTaken:       "Choose another name.",
	events.CodeColumnNotEmpty:  "Move the tickets out of the column first.",
	events.CodeBuiltOn:         "Others built on it; change it by hand.",
}

// refusal is what the model can do something about, as a result. Everything
// else, a fault of the server or of the way to it, is an error of the protocol.
func refusal(err error) (*sdk.CallToolResult, error) {
	var e *events.Error
	if !errors.As(err, &e) {
		return nil, fault(err)
	}
	switch e.Code {
	case events.CodeInternal, events.CodeUnavailable, events.CodeStorageFull, events.CodeMethodNotAllowed, events.CodeIdempotencyReused:
		return nil, fault(err)
	default:
	}
	p := problem{
		Code: e.Code, Message: e.Message, Next: next[e.Code], Fields: e.Fields,
		RetryAfter: int64(math.Ceil(e.RetryAfter.Seconds())),
	}
	data, err := encode(map[string]any{"error": p})
	if err != nil {
		return nil, err
	}
	if weightOf(data) > maxWeight/2 { // it quotes what was sent
		p.Fields, p.Message = nil, p.Message[:prefix(p.Message, briefText)]
		if data, err = encode(map[string]any{"error": p}); err != nil {
			return nil, err
		}
	}
	text := strings.TrimSpace(p.Message + " " + p.Next)
	return &sdk.CallToolResult{
		Content:           []sdk.Content{&sdk.TextContent{Text: string(p.Code) + ": " + text}, &sdk.TextContent{Text: string(data)}},
		StructuredContent: data, IsError: true,
	}, nil
}

// fault is an error of the protocol.
func fault(err error) error {
	var e *events.Error
	var rpc *jsonrpc.Error
	var down *client.UnreachableError
	switch {
	case errors.As(err, &rpc):
		return rpc
	case errors.As(err, &e):
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: e.Message}
	case errors.As(err, &down):
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: down.Error() + ". Is kanban serve running, and is KANBAN_URL right?"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "The call was cancelled."}
	default:
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	}
}

// invalid is a refusal of one argument.
func invalid(field, reason string) error {
	return &events.Error{Code: events.CodeInvalid, Message: field + " " + reason + ".", Fields: map[string]string{field: reason}}
}

// badArguments says in plain words what encoding/json found.
func badArguments(err error) error {
	var wrong *json.UnmarshalTypeError
	var noTime *time.ParseError
	const unknown = "json: unknown field "
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return invalid(wrong.Field, fmt.Sprintf("must be %s, not a %s", kindOf(wrong), wrong.Value))
	case errors.As(err, &noTime): // the one time that is read as such
		return invalid("due_at", fmt.Sprintf("must be a time as 2030-01-31T12:00:00Z, not %.40q", noTime.Value))
	case strings.HasPrefix(err.Error(), unknown):
		name := strings.Trim(strings.TrimPrefix(err.Error(), unknown), `"`)
		return invalid(name, "is no argument of this tool; its input schema has those there are")
	default:
		return events.Errorf(events.CodeInvalid, "The arguments cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
}

func kindOf(e *json.UnmarshalTypeError) string {
	switch t := e.Type.String(); {
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case strings.HasPrefix(t, "int"):
		return "a whole number"
	case t == "bool":
		return "true or false"
	case t == "string" || strings.HasPrefix(t, "events."):
		return "a text"
	default:
		return "an object"
	}
}
