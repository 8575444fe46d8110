package readmodel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// ActivityEntry is one event of a board in plain words.
type ActivityEntry struct {
	Position  int64            `json:"position"`
	Version   int64            `json:"version"`
	Type      events.Type      `json:"type"`
	BoardID   int64            `json:"board_id"`
	TicketID  *int64           `json:"ticket_id"`
	TicketKey *string          `json:"ticket_key"` // null where it is about none, or a deleted one
	Actor     string           `json:"actor"`
	ActorKind events.ActorKind `json:"actor_kind"`
	At        time.Time        `json:"at"`
	Summary   string           `json:"summary"` // "moved WEB-12 from Done to In Progress": the actor comes before it
}

// eventRow is the part of a row of events that activity shows.
type eventRow struct {
	bun.BaseModel `bun:"table:events,alias:e"`

	Position   int64
	Version    int64
	Type       string
	Schema     int
	RecordedAt int64
	ActorKind  string
	ActorName  string
	TicketID   *int64
	Data       *string
	TicketKey  *string `bun:"ticket_key,scanonly"`
}

// Activity lists what happened on a board, newest first. A Limit of 0 is
// MaxLimit; cursor is the NextCursor of the page before, "" for the first.
func (q *Queries) Activity(ctx context.Context, board int64, limitTo int, cursor string) (Page[ActivityEntry], error) {
	n, err := limit(limitTo)
	if err != nil {
		return Page[ActivityEntry]{}, err
	}
	before, err := decodeCursor(cursor)
	if err != nil {
		return Page[ActivityEntry]{}, err
	}
	var rows []eventRow
	var total int64
	err = q.view(ctx, func(tx bun.Tx) error {
		stream := events.BoardStream(board)
		// Versions have no gaps: the largest is the count.
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?", stream).Scan(&total); err != nil {
			return err
		}
		query := tx.NewSelect().Model(&rows).
			ColumnExpr("e.position, e.version, e.type, e.recorded_at, e.actor_kind, e.actor_name, e.ticket_id").
			ColumnExpr("coalesce(e.data, r.data) AS data, coalesce(r.schema, e.schema) AS schema").
			Join("LEFT JOIN redacted_events AS r ON r.position = e.position").
			ColumnExpr("(SELECT key FROM tickets WHERE id = e.ticket_id) AS ticket_key").
			Where("e.stream = ?", stream).Order("e.version DESC").Limit(n + 1)
		if before > 0 {
			query = query.Where("e.version < ?", before)
		}
		return query.Scan(ctx)
	})
	if err != nil {
		return Page[ActivityEntry]{}, fmt.Errorf("read activity: %w", err)
	}
	entries := make([]ActivityEntry, len(rows))
	for i := range rows {
		entries[i] = rows[i].view(board)
	}
	return finish(entries, n, total, func(e ActivityEntry) int64 { return e.Version }), nil
}

func (r *eventRow) view(board int64) ActivityEntry {
	envelope := events.Envelope{Type: events.Type(r.Type), Schema: r.Schema}
	if r.Data != nil {
		envelope.Data = []byte(*r.Data)
	}
	ticket := "a ticket"
	switch {
	case r.TicketKey != nil && *r.TicketKey != "":
		ticket = *r.TicketKey
	case r.TicketID != nil:
		ticket = fmt.Sprintf("ticket %d", *r.TicketID)
	}
	fact, err := envelope.Payload()
	var summary string
	switch {
	case err == nil:
		summary = sentence(fact, ticket)
	case errors.Is(err, events.ErrRedacted):
		summary = "did something whose details were removed (" + r.Type + ")"
	default:
		summary = "did something this version cannot read (" + r.Type + ")"
	}
	return ActivityEntry{
		Position: r.Position, Version: r.Version, Type: events.Type(r.Type), BoardID: board, TicketID: r.TicketID,
		TicketKey: r.TicketKey, Actor: r.ActorName, ActorKind: events.ActorKind(r.ActorKind),
		At: time.UnixMicro(r.RecordedAt).UTC(), Summary: summary,
	}
}

// sentence says what the fact is, without the actor.
func sentence(fact events.Event, ticket string) string {
	switch f := fact.(type) {
	case events.BoardCreated:
		return "created the board " + f.Name
	case events.BoardUpdated:
		return "changed the board's " + boardFields(f)
	case events.BoardArchived:
		return "archived the board"
	case events.BoardRestored:
		return "restored the board"
	case events.BoardDeleted:
		return "deleted the board"
	case events.ColumnAdded:
		return "added the column " + f.Column.Name
	case events.ColumnUpdated:
		if f.Was != f.Column.Name {
			return "renamed the column " + f.Was + " to " + f.Column.Name
		}
		return "changed the column " + f.Column.Name
	case events.ColumnMoved:
		return fmt.Sprintf("moved a column to place %d", f.Index+1)
	case events.ColumnRemoved:
		return "removed the column " + f.Name
	case events.MemberAdded:
		return "added " + f.Name + " as " + string(f.Role)
	case events.MemberUpdated:
		return "made " + f.Name + " " + string(f.Role) + " instead of " + string(f.Was)
	case events.MemberRemoved:
		return "removed " + f.Name + " from the board"
	case events.TicketCreated:
		return "created " + ticket + " in " + f.Column + ": " + f.Title + over(f.OverLimit)
	case events.TicketUpdated:
		return "changed the " + ticketFields(f) + " of " + ticket
	case events.TicketMoved:
		if f.FromColumnID == f.ColumnID {
			return "reordered " + ticket + " in " + f.Column + over(f.OverLimit)
		}
		return "moved " + ticket + " from " + f.FromColumn + " to " + f.Column + over(f.OverLimit)
	case events.TicketAssigned:
		if f.Assignee == "" {
			return "took " + ticket + " from " + f.Was
		}
		return "assigned " + ticket + " to " + f.Assignee
	case events.TicketArchived:
		return "archived " + ticket
	case events.TicketRestored:
		return "restored " + ticket + " in " + f.Column + over(f.OverLimit)
	case events.TicketDeleted:
		return "deleted " + ticket
	case events.CommentAdded:
		return "commented on " + ticket
	case events.CommentUpdated:
		return "changed a comment on " + ticket
	case events.CommentDeleted:
		return "deleted a comment on " + ticket
	case events.BoardFrozen:
		return "froze the board" + because(f.Reason)
	case events.BoardUnfrozen:
		return "unfroze the board"
	case events.CommandsUndone:
		return fmt.Sprintf("undid %d commands of %s", len(f.CommandIDs), f.Actor)
	case events.WebhookAdded:
		return "added a webhook to " + f.Host
	case events.WebhookUpdated:
		return "changed the webhook to " + f.Host
	case events.WebhookRemoved:
		return "removed the webhook to " + f.Host
	default:
		return workSentence(fact, ticket)
	}
}

// workSentence is sentence for the work on a ticket.
func workSentence(fact events.Event, ticket string) string {
	switch f := fact.(type) {
	case events.TicketRecovered:
		return "brought " + ticket + " back"
	case events.TicketClaimed:
		return "claimed " + ticket
	case events.TicketReleased:
		return released(f, ticket) + because(f.Note)
	case events.LeaseExpired:
		return "took " + ticket + " from " + f.Holder + ", whose lease ran out"
	case events.DependencyAdded:
		return "made " + ticket + " wait for " + f.Key
	case events.DependencyRemoved:
		return "made " + ticket + " wait no longer for " + f.Key
	case events.ChecklistChanged:
		done := 0
		for _, item := range f.Items {
			if item.Done {
				done++
			}
		}
		return fmt.Sprintf("changed the checklist of %s: %d of %d done", ticket, done, len(f.Items))
	case events.EvidenceAdded:
		return "added evidence to " + ticket + ": " + string(f.Kind)
	case events.EvidenceRemoved:
		return "took evidence from " + ticket + ": " + string(f.Kind)
	case events.ApprovalRequested:
		return "asked for approval of " + ticket + because(f.Note)
	case events.TicketApproved:
		return "approved " + ticket + because(f.Note)
	case events.TicketRejected:
		return "rejected " + ticket + because(f.Note)
	case events.ApprovalWithdrawn:
		return "withdrew the word on the approval of " + ticket
	case events.DataRedacted:
		return "redacted " + strings.ReplaceAll(f.Target, "/", " ") + because(f.Reason)
	case events.UsageRecorded:
		return fmt.Sprintf("recorded usage on %s: %d tokens", ticket, f.InputTokens+f.OutputTokens)
	default: // never on a board's stream
		return string(fact.Type())
	}
}

func released(f events.TicketReleased, ticket string) string {
	switch f.Reason {
	case events.Completed:
		return "completed " + ticket
	case events.Revoked:
		return "took " + ticket + " from " + f.Holder
	case events.Released:
		return "gave " + ticket + " back"
	default:
		return "ended the claim of " + f.Holder + " on " + ticket
	}
}

// because adds a reason in somebody's own words.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func over(limit bool) string {
	if limit {
		return ", past the WIP limit"
	}
	return ""
}

func boardFields(f events.BoardUpdated) string {
	return listed(
		field{"name", f.Name != nil}, field{"description", f.Description != nil},
		field{"visibility", f.Visibility != nil}, field{"limit of claims", f.MaxClaims != nil})
}

func ticketFields(f events.TicketUpdated) string {
	return listed(
		field{"title", f.Title != nil}, field{"description", f.Description != nil},
		field{"acceptance criteria", f.AcceptanceCriteria != nil}, field{"priority", f.Priority != nil},
		field{"labels", f.Labels != nil}, field{"due date", f.DueAt != nil || f.ClearDue})
}

type field struct {
	name    string
	changed bool
}

// listed joins the names of what changed: "title, labels and due date".
func listed(fields ...field) string {
	var names []string
	for _, f := range fields {
		if f.changed {
			names = append(names, f.name)
		}
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
