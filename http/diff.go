package http

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// boardDiff is what differs between two instants of a board. Archived and
// deleted tickets are not on the board, so archiving one removes it.
type boardDiff struct {
	From    int64         `json:"from" doc:"Position"`
	To      int64         `json:"to" doc:"Position"`
	Board   []fieldDiff   `json:"board"`
	Added   []wholeTicket `json:"added"`
	Removed []wholeTicket `json:"removed"`
	Changed []ticketDiff  `json:"changed"`
	Summary diffSummary   `json:"summary"`
}

type ticketDiff struct {
	ID     int64       `json:"id"`
	Key    string      `json:"key"`
	Title  string      `json:"title"`
	Fields []fieldDiff `json:"fields"`
	Touch
}

// wholeTicket came or went.
type wholeTicket struct {
	readmodel.Ticket
	Touch
}

// Touch is who had to do with a ticket between the instants.
type Touch struct {
	By []string   `json:"by" doc:"Who had to do with it in between, the first of them first; nobody where another ticket changed it, as when what it waits for is done"`
	At *time.Time `json:"at" doc:"When somebody last had; null = nobody"`
}

type fieldDiff struct {
	Field string `json:"field"`
	Old   any    `json:"old"`
	New   any    `json:"new"`
}

// diff compares a board at two instants; before its creation it was empty.
func (s *Server) diff(ctx context.Context, board int64, from, to string) (boardDiff, error) {
	d := boardDiff{Board: []fieldDiff{}, Added: []wholeTicket{}, Removed: []wholeTicket{}, Changed: []ticketDiff{}}
	if to == "" {
		head, err := s.deps.Log.Head(ctx)
		if err != nil {
			return d, err
		}
		to = strconv.FormatInt(head.Position, 10)
	}
	a, err := s.boardAt(ctx, board, "from", from)
	if err != nil && events.CodeOf(err) != events.CodeNotFound {
		return d, err
	}
	b, err := s.boardAt(ctx, board, "to", to)
	if err != nil {
		return d, err
	}
	d.From, d.To = a.Position, b.Position
	if a.Position > 0 {
		d.Board = differences(a.Board, b.Board)
	}
	was := make(map[int64]readmodel.Ticket, len(a.Tickets))
	for _, t := range a.Tickets {
		was[t.ID] = t
	}
	count := newTally(&a, &b)
	if err := count.read(ctx, s.deps.Log, board); err != nil {
		return d, err
	}
	for _, t := range b.Tickets {
		old, ok := was[t.ID]
		delete(was, t.ID)
		if !ok {
			d.Added = append(d.Added, wholeTicket{t, count.touch(t.ID)})
			count.added(&t)
		} else if fields := differences(old, t); len(fields) > 0 {
			d.Changed = append(d.Changed, ticketDiff{ID: t.ID, Key: t.Key, Title: t.Title, Fields: fields, Touch: count.touch(t.ID)})
			count.changed(&old, &t, fields)
		}
	}
	for _, t := range a.Tickets {
		if _, gone := was[t.ID]; gone {
			d.Removed = append(d.Removed, wholeTicket{t, count.touch(t.ID)})
		}
	}
	count.sum.Removed = len(d.Removed)
	d.Summary = count.summary()
	return d, nil
}

// bookkeeping are fields that change with every other one.
var bookkeeping = []string{"version", "updated_at", "column_entered_at", "column_id"}

// differences compares two views of one type, field by field under their JSON
// names.
func differences[T any](a, b T) []fieldDiff {
	out := []fieldDiff{}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
		x, y := va.Field(i).Interface(), vb.Field(i).Interface()
		if !slices.Contains(bookkeeping, name) && !reflect.DeepEqual(x, y) {
			out = append(out, fieldDiff{Field: name, Old: x, New: y})
		}
	}
	return out
}
