package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// At is a moment of the log: up to and including Position, or up to and
// including Time. The zero At is now. Where both are set, both limit.
type At struct {
	Position int64
	Time     time.Time
}

// BoardAt returns a board as it was. It reads the board's stream only. The
// Position of the snapshot is the one asked for where that exists, else that of
// the board's last event until then. Before its creation and after its deletion
// the answer is an *events.Error with CodeNotFound.
func BoardAt(ctx context.Context, log events.Reader, board int64, at At) (readmodel.Snapshot, error) {
	t, err := TimelineAt(ctx, log, board, at)
	if err != nil {
		return readmodel.Snapshot{}, err
	}
	s, err := t.Snapshot(board)
	if err != nil || !at.Time.IsZero() {
		return s, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return readmodel.Snapshot{}, fmt.Errorf("read head: %w", err)
	}
	// No event of the board lies between its last one and the moment asked for.
	if at.Position > 0 {
		s.Position = max(s.Position, min(at.Position, head.Position))
	}
	return s, nil
}

// TicketAt returns a ticket of the board as of a position (0 = now), or an
// *events.Error with CodeNotFound.
func TicketAt(ctx context.Context, log events.Reader, board, ticket, position int64) (readmodel.Ticket, error) {
	t, err := TimelineAt(ctx, log, board, At{Position: position})
	if err != nil {
		return readmodel.Ticket{}, err
	}
	return t.Ticket(ticket)
}

// TimelineAt folds a board's stream up to a moment. Events of a type that this
// version does not know are left out.
func TimelineAt(ctx context.Context, log events.Reader, board int64, at At) (*Timeline, error) {
	t := NewTimeline()
	query := events.Query{Stream: events.BoardStream(board), UpTo: at.Position, Until: at.Time}
	for e, err := range events.All(ctx, log, query) {
		if err != nil {
			return nil, fmt.Errorf("read board %d: %w", board, err)
		}
		if err := t.Apply(e); err != nil && !errors.Is(err, events.ErrUnknownType) {
			return nil, err
		}
	}
	return t, nil
}
