package projections

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
)

// forget redacts what an erasure takes out of the events that it is for, as a
// store would: their data goes, what is kept stays.
func (s *script) forget(t fataler, x events.Erasure, of func(e *events.Envelope) bool) (emptied []events.Emptied) {
	for i := range s.log {
		e := s.log[i]
		if e.Type == events.TypeDataRedacted || e.Redacted() && e.Kept == nil {
			continue
		}
		left, changed := events.Emptied{}, false
		if of(&e) {
			var err error
			if left, changed, err = x.Of(&e); err != nil {
				t.Fatalf("redact: %v", err)
			}
		}
		kept, schema := e.Kept, e.KeptSchema
		if changed {
			emptied, kept, schema = append(emptied, left), left.Kept, left.Schema
		}
		name := e.Actor.Name
		if x.UserID != 0 && e.Actor.ID == x.UserID {
			name = events.ErasedName(x.UserID)
		}
		if !changed && name == e.Actor.Name {
			continue
		}
		data := e.Data
		redact(&e)
		e.Actor.Name, e.Kept, e.KeptSchema = name, kept, schema
		if !changed {
			e.Data = data
		}
		s.log[i] = e
	}
	return emptied
}

// redaction redacts a ticket or a user in what was drawn so far.
func (h *histories) redaction() {
	tickets := map[int64]int64{}
	for i := range h.s.log {
		if e := &h.s.log[i]; e.TicketID != 0 {
			tickets[e.TicketID] = e.BoardID
		}
	}
	id := rapid.Int64Range(1, int64(len(tickets))+1).Draw(h.t, "redacted")
	if board, ok := tickets[id]; ok {
		emptied := h.s.forget(h.t, events.Erasure{Texts: true}, func(e *events.Envelope) bool { return e.TicketID == id })
		h.s.add(h.t, board, id, events.DataRedacted{Target: "ticket", Reason: "test", Events: emptied})
	} else {
		emptied := h.s.forget(h.t, events.Erasure{UserID: 1, UserName: "user1"}, func(*events.Envelope) bool { return true })
		h.s.add(h.t, 1, 0, events.DataRedacted{Target: "user", Reason: "test", Events: emptied, UserID: 1})
	}
	h.now = NewTimeline()
	for i := range h.s.log {
		if err := h.now.Apply(&h.s.log[i]); err != nil {
			h.t.Fatalf("timeline: %v", err)
		}
	}
}

// A Runner that applied the texts before they were redacted has the rows that a
// fold of the emptied log has, and moves the watermark only then.
func TestRunnerForgets(t *testing.T) {
	t.Parallel()
	db, s := open(t), newScript()
	title := "Xyzzy still"
	s.add(t, 0, 0, events.UserRegistered{UserID: 1, Name: "ann", DisplayName: "Ann", Kind: events.Human, Admin: true})
	s.add(t, 1, 0, defaultBoard())
	ticket := ticketCreated(1)
	ticket.Title = "Xyzzy"
	s.add(t, 1, 1, ticket)
	s.add(t, 1, 2, ticketCreated(2))
	s.add(t, 1, 1, events.TicketUpdated{Title: &title})
	s.add(t, 1, 1, events.CommentAdded{CommentID: 1, Text: "Xyzzy said"})
	old := append(memory(nil), s.log...)
	emptied := s.forget(t, events.Erasure{Texts: true}, func(e *events.Envelope) bool { return e.TicketID == 1 })
	if len(emptied) != 3 {
		t.Fatalf("emptied %d events, want 3", len(emptied))
	}
	s.add(t, 1, 1, events.DataRedacted{Target: "ticket/1", Reason: "test", Events: emptied})
	s.add(t, 1, 2, events.TicketArchived{})

	// The subscription still hands over what it had, then the redaction.
	stale := append(old, s.log[len(old):]...)
	for name, size := range map[string]int{"one by one": 1, "together": 100, "in pairs": 2} {
		empty(t, t.Context(), db)
		c := config(db)
		c.Log = memory(s.log)
		c.Subscribe = func(after int64) Subscription { return &feed{log: stale, after: after, size: size} }
		r := started(t, c)
		<-c.Watermark.Reached(7)
		var found int
		err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT title AS text FROM tickets UNION ALL SELECT text FROM comments
			UNION ALL SELECT coalesce(old_value, '') || coalesce(new_value, '') FROM ticket_history) WHERE text LIKE '%Xyzzy%'`).Scan(&found)
		if err != nil || found != 0 {
			t.Errorf("%s: %d rows have it (%v), want none", name, found, err)
		}
		<-c.Watermark.Reached(8)
		if diff := cmp.Diff(fromTimeline(t, s.log), fromRows(t.Context(), t, db.Reader(), s.log)); diff != "" {
			t.Errorf("%s: rows differ from the timeline (-timeline +rows):\n%s", name, diff)
		}
		if got := r.Status(); got.Position != 8 || got.Error != "" || len(got.Parked) > 0 {
			t.Errorf("%s: status %+v", name, got)
		}
		if err := r.Stop(); err != nil {
			t.Errorf("%s: stop: %v", name, err)
		}
	}
	if before := fromTimeline(t, old).Snapshots[0].Tickets; !strings.Contains(before[0].Title+before[1].Title, "Xyzzy") {
		t.Error("the word was never there")
	}
}
