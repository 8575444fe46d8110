package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	// stateSchema is the shape of stored snapshots: count it up when the state
	// changes, and older ones are folded afresh.
	stateSchema = 4
	// directoryStream names the directory among the snapshots.
	directoryStream = "directory"
	// snapshotEvery is the number of events between snapshots of one stream; a
	// board waits for one more event per ticket it has. So encoding them is
	// cheap per event and rare enough to stay out of sight.
	snapshotEvery = 20_000
	// foldedMany is how many events a load may fold before it pays to store the
	// result.
	foldedMany = 2_000
	// cachedTickets bounds the boards kept in memory.
	cachedTickets = 100_000
	// locatedTickets bounds the memory of which board a ticket is on.
	locatedTickets = 50_000
)

// state is what the Sequencer keeps folded between batches.
type state struct {
	logID     string
	head      events.Head
	directory *directory
	dirAt     int64 // position of the directory's stored snapshot
	boards    map[int64]*board
	located   map[int64]int64 // ticket to board
	clock     int64

	// beats are the newest heartbeats of claims in force, by ticket; nil =
	// not read yet.
	beats map[int64]events.Heartbeat
	// leases says that they changed since the next expiry was reckoned.
	leases bool
}

func newState(logID string) *state {
	return &state{logID: logID, boards: map[int64]*board{}, located: map[int64]int64{}}
}

// evolve follows one event, wherever it came from.
func (s *state) evolve(e *events.Envelope) {
	fact := factOf(e)
	s.directory.evolve(e, fact)
	if b := s.boards[e.BoardID]; b != nil && b.version < e.Version {
		b.evolve(e, fact)
	}
	switch e.Type {
	case events.TypeTicketCreated:
		s.locate(e.TicketID, e.BoardID)
	case events.TypeTicketClaimed, events.TypeTicketReleased, events.TypeLeaseExpired, events.TypeTicketDeleted, events.TypeBoardDeleted:
		s.leases = true
	}
	s.head = e.Head()
}

// factOf returns the payload, nil where it was redacted or is of a newer program:
// then the event still counts as a version. Of some types the envelope says all.
func factOf(e *events.Envelope) events.Event {
	fact, err := e.Payload()
	switch {
	case err == nil:
		return fact
	case !errors.Is(err, events.ErrRedacted):
		return nil
	}
	switch e.Type {
	case events.TypeBoardArchived:
		return events.BoardArchived{}
	case events.TypeBoardRestored:
		return events.BoardRestored{}
	case events.TypeBoardDeleted:
		return events.BoardDeleted{}
	case events.TypeTicketArchived:
		return events.TicketArchived{}
	case events.TypeTicketDeleted:
		return events.TicketDeleted{}
	case events.TypeTicketReleased:
		return events.TicketReleased{}
	case events.TypeLeaseExpired:
		return events.LeaseExpired{}
	case events.TypeUserDeactivated:
		return events.UserDeactivated{UserID: events.StreamID(e.Stream)}
	}
	return nil
}

func (s *state) locate(ticket, board int64) {
	if len(s.located) >= locatedTickets {
		clear(s.located)
	}
	s.located[ticket] = board
}

// evict drops the coldest boards while too many tickets are in memory.
func (s *state) evict() {
	total := 0
	for _, b := range s.boards {
		total += len(b.tickets) + 1
	}
	if total <= cachedTickets {
		return
	}
	coldest := slices.SortedFunc(maps.Values(s.boards), func(a, b *board) int { return int(a.used - b.used) })
	for _, b := range coldest[:len(coldest)-1] {
		if total <= cachedTickets {
			return
		}
		total -= len(b.tickets) + 1
		delete(s.boards, b.info.ID)
	}
}

// boardState is the stored form of a board.
type boardState struct {
	Info     Board
	LastAt   time.Time
	Deleted  bool
	NextCol  int64
	NextNum  int64
	Tickets  []*Ticket
	Comments map[int64]comment
}

func (b *board) snapshot(position int64) (events.Snapshot, error) {
	text, err := json.Marshal(boardState{
		Info: b.info, LastAt: b.lastAt, Deleted: b.deleted, NextCol: b.nextCol, NextNum: b.nextNum,
		Tickets: slices.Collect(maps.Values(b.tickets)), Comments: b.comments,
	})
	return events.Snapshot{
		Stream: events.BoardStream(b.info.ID), Version: b.version, Position: position, Schema: stateSchema, State: text,
	}, err
}

func restoreBoard(snap events.Snapshot) (*board, error) {
	var stored boardState
	if err := json.Unmarshal(snap.State, &stored); err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", snap.Stream, err)
	}
	b := newBoard(stored.Info.ID)
	b.info, b.deleted, b.nextCol, b.nextNum = stored.Info, stored.Deleted, stored.NextCol, stored.NextNum
	b.version, b.snapVersion, b.lastAt = snap.Version, snap.Version, stored.LastAt
	for _, t := range stored.Tickets {
		b.tickets[t.ID], b.numbers[t.Number] = t, t.ID
		if !t.Archived {
			b.lanes[t.ColumnID] = append(b.lanes[t.ColumnID], t)
		}
	}
	for _, lane := range b.lanes {
		slices.SortFunc(lane, order)
	}
	b.work.rebuild(b)
	if stored.Comments != nil {
		b.comments = stored.Comments
	}
	return b, nil
}

// loadBoard returns the board's state, folded from its snapshot and the events
// after it. An unknown board has version 0.
func (w *work) loadBoard(id int64) (*board, error) {
	s := w.state
	s.clock++
	if b := s.boards[id]; b != nil {
		b.used = s.clock
		return b, nil
	}
	b := newBoard(id)
	stream := events.BoardStream(id)
	if id <= 0 || id >= s.directory.NextBoard {
		return b, nil
	}
	snap, found, err := w.tx.Snapshot(w.ctx, stream, stateSchema)
	if err != nil {
		return nil, err
	}
	if found && snap.Position <= w.tx.Head().Position {
		// Only a shortcut: one that cannot be read is as good as none.
		if restored, err := restoreBoard(snap); err == nil {
			b = restored
		}
	}
	for e, err := range events.All(w.ctx, w.tx, events.Query{Stream: stream, AfterVersion: b.version}) {
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", stream, err)
		}
		b.evolve(e, factOf(e))
		b.folded++
	}
	for i := range w.pending {
		if e := &w.pending[i]; e.Stream == stream {
			b.evolve(e, factOf(e))
		}
	}
	b.used = s.clock
	s.boards[id] = b
	return b, nil
}

// catchUp brings the directory and the cached boards to the transaction's head:
// at the first batch from the stored snapshot, later by what other processes
// have appended.
func (w *work) catchUp() error {
	s := w.state
	cached := s.directory != nil
	if !cached {
		if err := w.loadDirectory(); err != nil {
			return err
		}
	}
	if w.tx.Head().Position != s.head.Position {
		for e, err := range events.All(w.ctx, w.tx, events.Query{After: s.head.Position}) {
			if err != nil {
				return fmt.Errorf("catch up: %w", err)
			}
			if e.Type == events.TypeDataRedacted && cached {
				// Another process has redacted: what is folded may hold it.
				*s = *newState(s.logID)
				return w.catchUp()
			}
			s.evolve(e)
			w.folded++
		}
	}
	if s.beats == nil {
		return w.loadBeats()
	}
	return nil
}

func (w *work) loadDirectory() error {
	s := w.state
	s.directory = newDirectory()
	snap, found, err := w.tx.Snapshot(w.ctx, directoryStream, stateSchema)
	if err != nil || !found || snap.Position > w.tx.Head().Position {
		return err
	}
	if err := json.Unmarshal(snap.State, s.directory); err != nil {
		s.directory = newDirectory() // only a shortcut: as good as none
		return nil                   //nolint:nilerr // see above
	}
	s.head.Position, s.dirAt = snap.Position, snap.Position
	return nil
}

// saveSnapshots stores what has grown enough since its last snapshot.
func (w *work) saveSnapshots() error {
	s := w.state
	since := s.head.Position - s.dirAt
	if since >= int64(snapshotEvery+len(s.directory.Users)+len(s.directory.Keys)) || w.folded >= foldedMany {
		text, err := json.Marshal(s.directory)
		if err != nil {
			return err
		}
		snap := events.Snapshot{Stream: directoryStream, Position: s.head.Position, Schema: stateSchema, State: text}
		if err := w.tx.SaveSnapshot(w.ctx, snap); err != nil {
			return err
		}
		s.dirAt = s.head.Position
	}
	for id := range w.touched {
		b := s.boards[id]
		if b == nil || b.folded < foldedMany && b.version-b.snapVersion < int64(snapshotEvery+len(b.tickets)) {
			continue
		}
		snap, err := b.snapshot(s.head.Position)
		if err == nil {
			err = w.tx.SaveSnapshot(w.ctx, snap)
		}
		if err != nil {
			return err
		}
		b.snapVersion, b.folded = b.version, 0
	}
	return nil
}
