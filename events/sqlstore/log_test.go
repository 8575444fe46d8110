package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// next returns n sealed events of board 1 that continue head.
func next(tb testing.TB, head events.Head, n int) []events.Envelope {
	tb.Helper()
	list := make([]events.Envelope, n)
	for i := range list {
		position := head.Position + 1
		sealed, err := events.Seal(head, events.Envelope{
			Stream: events.BoardStream(1), Version: position, BoardID: 1, TicketID: 1 + position%5,
			ID: fmt.Sprintf("01890000-0000-7000-8000-%012d", position), RecordedAt: time.UnixMicro(1_800_000_000_000_000 + position),
			Actor: events.Actor{Kind: events.Human, ID: 7, Name: "ada"}, CommandID: fmt.Sprintf("command-%d", position),
		}, events.CommentAdded{CommentID: position, Text: fmt.Sprintf("comment %d", position)})
		if err != nil {
			tb.Fatal(err)
		}
		list[i], head = sealed, sealed.Head()
	}
	return list
}

// fill appends n events in one transaction and returns the new head.
func fill(t *testing.T, store events.Store, n int) events.Head {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := next(t, head, n)
	if err := appendBatch(t.Context(), store, rows); err != nil {
		t.Fatal(err)
	}
	return rows[n-1].Head()
}

// verify reads the whole log and checks its chain, and returns its head.
func verify(t *testing.T, store events.Store) (events.Head, error) {
	t.Helper()
	var head events.Head
	for e, err := range events.All(t.Context(), store, events.Query{}) {
		if err == nil {
			err = events.Check(head, e)
		}
		if err != nil {
			return head, err
		}
		head = e.Head()
	}
	return head, nil
}
