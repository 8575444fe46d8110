package events

import (
	"encoding/json"
	"fmt"
	"strings"
)

// shape is how a type is read: its current schema number, how to decode data of
// that schema, and for each older schema n the upcaster that rewrites its data
// as schema n+1 (upcasters[0] reads schema 1).
type shape struct {
	decode    func(json.RawMessage) (Event, error)
	upcasters []func(json.RawMessage) (json.RawMessage, error)
}

// schema is the number that new events of the type are written with.
func (s shape) schema() int { return len(s.upcasters) + 1 }

func of[E Event](upcasters ...func(json.RawMessage) (json.RawMessage, error)) shape {
	return shape{
		upcasters: upcasters,
		decode: func(data json.RawMessage) (Event, error) {
			var fact E
			err := json.Unmarshal(data, &fact)
			return fact, err
		},
	}
}

// unchanged is the upcaster of a schema that only added fields whose zero value
// means what their absence meant.
func unchanged(data json.RawMessage) (json.RawMessage, error) { return data, nil }

// shapes is the codec's table. To change the shape of a type, append an upcaster
// to its line and add a golden file for the new schema; the old ones stay.
var shapes = map[Type]shape{
	TypeBoardCreated:      of[BoardCreated](unchanged),
	TypeBoardUpdated:      of[BoardUpdated](),
	TypeBoardArchived:     of[BoardArchived](),
	TypeBoardRestored:     of[BoardRestored](),
	TypeBoardDeleted:      of[BoardDeleted](),
	TypeColumnAdded:       of[ColumnAdded](unchanged),
	TypeColumnUpdated:     of[ColumnUpdated](unchanged),
	TypeColumnMoved:       of[ColumnMoved](),
	TypeColumnRemoved:     of[ColumnRemoved](),
	TypeMemberAdded:       of[MemberAdded](),
	TypeMemberUpdated:     of[MemberUpdated](),
	TypeMemberRemoved:     of[MemberRemoved](),
	TypeTicketCreated:     of[TicketCreated](),
	TypeTicketUpdated:     of[TicketUpdated](),
	TypeTicketMoved:       of[TicketMoved](),
	TypeTicketAssigned:    of[TicketAssigned](),
	TypeTicketArchived:    of[TicketArchived](),
	TypeTicketRestored:    of[TicketRestored](),
	TypeTicketDeleted:     of[TicketDeleted](),
	TypeCommentAdded:      of[CommentAdded](),
	TypeCommentUpdated:    of[CommentUpdated](),
	TypeCommentDeleted:    of[CommentDeleted](),
	TypeUserRegistered:    of[UserRegistered](),
	TypeUserUpdated:       of[UserUpdated](),
	TypeUserDeactivated:   of[UserDeactivated](),
	TypeTokenIssued:       of[TokenIssued](),
	TypeTokenRevoked:      of[TokenRevoked](),
	TypeLogImported:       of[LogImported](),
	TypeDataRedacted:      of[DataRedacted](),
	TypeBoardFrozen:       of[BoardFrozen](),
	TypeBoardUnfrozen:     of[BoardUnfrozen](),
	TypeCommandsUndone:    of[CommandsUndone](),
	TypeWebhookAdded:      of[WebhookAdded](),
	TypeWebhookUpdated:    of[WebhookUpdated](),
	TypeWebhookRemoved:    of[WebhookRemoved](),
	TypeTicketRecovered:   of[TicketRecovered](),
	TypeTicketClaimed:     of[TicketClaimed](),
	TypeTicketReleased:    of[TicketReleased](),
	TypeLeaseExpired:      of[LeaseExpired](),
	TypeDependencyAdded:   of[DependencyAdded](),
	TypeDependencyRemoved: of[DependencyRemoved](),
	TypeChecklistChanged:  of[ChecklistChanged](),
	TypeEvidenceAdded:     of[EvidenceAdded](),
	TypeEvidenceRemoved:   of[EvidenceRemoved](),
	TypeApprovalRequested: of[ApprovalRequested](),
	TypeTicketApproved:    of[TicketApproved](),
	TypeTicketRejected:    of[TicketRejected](),
	TypeApprovalWithdrawn: of[ApprovalWithdrawn](),
	TypeUsageRecorded:     of[UsageRecorded](),
	TypeAgentPaused:       of[AgentPaused](),
	TypeAgentResumed:      of[AgentResumed](),
}

// Types lists every type this program can read, unsorted.
func Types() []Type {
	types := make([]Type, 0, len(shapes))
	for t := range shapes {
		types = append(types, t)
	}
	return types
}

func encode(fact Event) (data json.RawMessage, schema int, err error) {
	s, ok := shapes[fact.Type()]
	if !ok {
		return nil, 0, fmt.Errorf("encode %s: %w", fact.Type(), ErrUnknownType)
	}
	// HTML-escaped, as encoding/json would do to it later: so the bytes, and
	// with them the sum, survive whoever marshals an envelope again.
	if data, err = json.Marshal(fact); err != nil {
		return nil, 0, fmt.Errorf("encode %s: %w", fact.Type(), err)
	}
	return data, s.schema(), nil
}

func decode(t Type, schema int, data json.RawMessage) (Event, error) {
	s, ok := shapes[t]
	if !ok || schema < 1 || schema > s.schema() {
		return nil, fmt.Errorf("decode %s schema %d: %w", t, schema, ErrUnknownType)
	}
	var err error
	for _, upcast := range s.upcasters[schema-1:] {
		if data, err = upcast(data); err != nil {
			return nil, fmt.Errorf("upcast %s schema %d: %w", t, schema, err)
		}
	}
	fact, err := s.decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s schema %d: %w", t, schema, err)
	}
	return fact, nil
}

// About says what an event is about, in CloudEvents terms: source is the
// aggregate ("/boards/1"), subject the thing in it ("ticket/12").
func (e *Envelope) about() (source, subject string) {
	kind, id, _ := strings.Cut(e.Stream, "-")
	switch {
	case id == "":
		return "/" + kind, kind
	case e.TicketID != 0:
		return "/" + kind + "s/" + id, fmt.Sprintf("ticket/%d", e.TicketID)
	default:
		return "/" + kind + "s/" + id, kind + "/" + id
	}
}
