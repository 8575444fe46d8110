package readmodel_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// fact is an event, and the board and ticket it is about.
type fact struct {
	board, ticket int64
	event         events.Event
}

// dated is a fact with its time and who did it.
type dated struct {
	at    time.Time
	actor events.Actor
	fact
}

// setup projects the facts, a minute apart, the way the server does.
func setup(t *testing.T, facts ...fact) *readmodel.Queries {
	t.Helper()
	list := make([]dated, len(facts))
	for i, f := range facts {
		list[i] = dated{epoch.Add(time.Duration(i) * time.Minute), events.Actor{Kind: events.Human, ID: 1, Name: "ann"}, f}
	}
	return project(t, list)
}

// project is setup with times and actors.
func project(t testing.TB, facts []dated) *readmodel.Queries {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "test.db"), Create: true})
	check(err)
	tx, err := db.Begin(t.Context())
	check(err)
	versions := map[string]int64{}
	var batch []events.Envelope
	head := tx.Head()
	for i, f := range facts {
		stream := events.SystemStream
		if f.board != 0 {
			stream = events.BoardStream(f.board)
		} else if u, ok := f.event.(events.UserRegistered); ok {
			stream = events.UserStream(u.UserID)
		}
		versions[stream]++
		e, err := events.Seal(head, events.Envelope{
			Stream: stream, Version: versions[stream], ID: fmt.Sprint("id-", i), RecordedAt: f.at,
			Actor: f.actor, CommandID: fmt.Sprint("command-", i),
			BoardID: f.board, TicketID: f.ticket,
		}, f.event)
		check(err)
		head, batch = e.Head(), append(batch, e)
	}
	for part := range slices.Chunk(batch, 1000) {
		check(tx.Append(t.Context(), part))
	}
	check(tx.Commit())
	_, err = projections.Rebuild(t.Context(), projections.RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db})
	check(err)
	q, err := readmodel.New(t.Context(), db.Reader())
	check(err)
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func board(id int64, key string, visibility events.Visibility) fact {
	return fact{id, 0, events.BoardCreated{
		Key: key, Name: "Board " + key, Visibility: visibility,
		Columns: []events.Column{{ID: 1, Name: "To Do", Kind: events.Backlog}, {ID: 2, Name: "Done", Kind: events.Done}},
	}}
}

func ticket(board, id, number int64, change func(*events.TicketCreated)) fact {
	f := events.TicketCreated{
		Number: number, Key: fmt.Sprintf("B%d-%d", board, number), Title: fmt.Sprintf("Ticket %d", id), Priority: events.Low,
		Labels: []string{}, ColumnID: 1, Column: "To Do", Rank: fmt.Sprintf("a%03d", id),
	}
	if change != nil {
		change(&f)
	}
	return fact{board, id, f}
}

func member(board, user int64, role events.Role) fact {
	return fact{board, 0, events.MemberAdded{UserID: user, Name: fmt.Sprint("user", user), Role: role}}
}

// threeBoards: user 7 is an agent on board 1, board 2 is private to others,
// board 3 is internal, board 4 is archived and user 7's own.
func threeBoards() []fact {
	return []fact{
		board(1, "B1", events.Private), member(1, 7, events.AgentRole), board(2, "B2", events.Private), board(3, "B3", events.Internal),
		board(4, "B4", events.Private), member(4, 7, events.PM),
		{4, 0, events.BoardArchived{}},
		ticket(1, 1, 1, nil), ticket(2, 2, 1, nil), ticket(3, 3, 1, nil),
	}
}

func ids[T any](items []T, id func(T) int64) []int64 {
	out := []int64{}
	for _, item := range items {
		out = append(out, id(item))
	}
	return out
}

func boardID(b readmodel.BoardItem) int64 { return b.ID }
func ticketID(t readmodel.Ticket) int64   { return t.ID }

func TestListsShowWhatTheViewerMaySee(t *testing.T) {
	t.Parallel()
	q := setup(t, threeBoards()...)
	for _, c := range []struct {
		name     string
		viewer   readmodel.Viewer
		want     []int64
		archived []int64
	}{
		{"member", readmodel.Viewer{UserID: 7}, []int64{1, 3}, []int64{4}},
		{"stranger", readmodel.Viewer{UserID: 8}, []int64{3}, []int64{}},
		{"admin", readmodel.Viewer{UserID: 9, Admin: true}, []int64{1, 2, 3}, []int64{4}},
		{"scoped member", readmodel.Viewer{UserID: 7, Scope: events.Scope{Boards: []int64{1, 2}}}, []int64{1}, []int64{}},
		{"scoped admin", readmodel.Viewer{Admin: true, Scope: events.Scope{Boards: []int64{2}}}, []int64{2}, []int64{}},
	} {
		for archived, want := range map[bool][]int64{false: c.want, true: c.archived} {
			page, err := q.Boards(t.Context(), c.viewer, readmodel.BoardFilter{Archived: archived})
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(page.Items, boardID); !slices.Equal(got, want) || page.Total != int64(len(want)) || page.NextCursor != nil {
				t.Errorf("%s, archived %v: got boards %v of %d, want %v", c.name, archived, got, page.Total, want)
			}
		}
		page, err := q.Tickets(t.Context(), c.viewer, readmodel.TicketFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(page.Items, ticketID); !slices.Equal(got, c.want) || page.Total != int64(len(c.want)) {
			t.Errorf("%s: got tickets %v of %d, want %v", c.name, got, page.Total, c.want)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	q := setup(t, threeBoards()...)
	for _, c := range []struct {
		name   string
		board  int64
		viewer readmodel.Viewer
		want   events.Role
	}{
		{"member", 1, readmodel.Viewer{UserID: 7}, events.AgentRole},
		{"stranger", 1, readmodel.Viewer{UserID: 8}, events.NoRole},
		{"internal", 3, readmodel.Viewer{UserID: 8}, events.ViewerRole},
		{"admin", 2, readmodel.Viewer{Admin: true}, events.PM},
		{"token of a pm for viewing", 4, readmodel.Viewer{UserID: 7, Scope: events.Scope{Role: events.ViewerRole}}, events.ViewerRole},
		{"token for another board", 1, readmodel.Viewer{Admin: true, Scope: events.Scope{Boards: []int64{2}}}, events.NoRole},
		{"no board", 99, readmodel.Viewer{Admin: true}, events.NoRole},
	} {
		got, err := q.Access(t.Context(), c.board, c.viewer)
		if got != c.want || (c.want == events.NoRole) != (events.CodeOf(err) == events.CodeNotFound) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if m, err := q.Role(t.Context(), 1, 7); err != nil || m != (readmodel.Membership{Role: events.AgentRole, Visibility: events.Private}) {
		t.Errorf("role: got %+v, %v", m, err)
	}
	members, err := q.Members(t.Context(), 1)
	if want := []readmodel.Member{{BoardID: 1, UserID: 7, Name: "user7", Role: events.AgentRole}}; err != nil || !slices.Equal(members, want) {
		t.Errorf("members: got %+v, %v, want %+v", members, err, want)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	q := setup(
		t, board(1, "B1", events.Internal), board(2, "B2", events.Internal),
		ticket(1, 1, 1, func(f *events.TicketCreated) { f.Title, f.Labels = "100% done_ish", []string{"bug", "ui"} }),
		ticket(1, 2, 2, func(f *events.TicketCreated) { f.Description, f.Assignee = "The NEEDLE here", "bot" }),
		ticket(1, 3, 3, func(f *events.TicketCreated) { f.ColumnID, f.Column, f.Labels = 2, "Done", []string{"bugs"} }),
		ticket(2, 4, 1, func(f *events.TicketCreated) { f.Assignee = "bot" }),
		ticket(1, 5, 4, nil), fact{1, 5, events.TicketArchived{}},
	)
	for _, c := range []struct {
		name   string
		filter readmodel.TicketFilter
		want   []int64
	}{
		{"all", readmodel.TicketFilter{}, []int64{1, 2, 3, 4}},
		{"board", readmodel.TicketFilter{BoardID: 2}, []int64{4}},
		{"column by name", readmodel.TicketFilter{Column: "done"}, []int64{3}},
		{"column by id", readmodel.TicketFilter{Column: "2", BoardID: 1}, []int64{3}},
		{"assignee", readmodel.TicketFilter{Assignee: "bot"}, []int64{2, 4}},
		{"label is whole", readmodel.TicketFilter{Label: "bug"}, []int64{1}},
		{"text in any case", readmodel.TicketFilter{Query: "needle"}, []int64{2}},
		{"text by key", readmodel.TicketFilter{Query: "b2-1"}, []int64{4}},
		{"percent is a character", readmodel.TicketFilter{Query: "0% d"}, []int64{1}},
		{"percent matches itself only", readmodel.TicketFilter{Query: "1%d"}, []int64{}},
		{"underscore is a character", readmodel.TicketFilter{Query: "e_i"}, []int64{1}},
		{"quotes are characters", readmodel.TicketFilter{Query: "' OR 1=1 --"}, []int64{}},
		{"archived", readmodel.TicketFilter{Archived: true}, []int64{5}},
		{"together", readmodel.TicketFilter{BoardID: 1, Assignee: "bot", Column: "To Do"}, []int64{2}},
	} {
		page, err := q.Tickets(t.Context(), readmodel.Viewer{UserID: 8}, c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := ids(page.Items, ticketID); !slices.Equal(got, c.want) || page.Total != int64(len(c.want)) {
			t.Errorf("%s: got %v of %d, want %v", c.name, got, page.Total, c.want)
		}
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	t.Parallel()
	facts := []fact{board(1, "B1", events.Internal)}
	for id := range int64(7) {
		facts = append(facts, ticket(1, id+1, id+1, nil))
	}
	q := setup(t, facts...)
	var got []int64
	f := readmodel.TicketFilter{BoardID: 1, Limit: 3}
	for range 3 {
		page, err := q.Tickets(t.Context(), readmodel.Viewer{Admin: true}, f)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != 7 {
			t.Errorf("total: got %d, want 7", page.Total)
		}
		got = append(got, ids(page.Items, ticketID)...)
		if page.NextCursor == nil {
			break
		}
		f.Cursor = *page.NextCursor
	}
	if want := []int64{1, 2, 3, 4, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []readmodel.TicketFilter{{Limit: 101}, {Limit: -1}, {Cursor: "x"}, {Cursor: "YWZ0ZXI6eA"}} {
		if _, err := q.Tickets(t.Context(), readmodel.Viewer{}, bad); events.CodeOf(err) != events.CodeInvalid {
			t.Errorf("%+v: got %v, want invalid", bad, err)
		}
	}
}

func TestByIDAndKey(t *testing.T) {
	t.Parallel()
	q := setup(t, threeBoards()...)
	for _, ref := range []string{"3", "B3", "b3"} {
		if b, err := q.Board(t.Context(), ref); err != nil || b.ID != 3 || len(b.Columns) != 2 {
			t.Errorf("board %q: got %+v, %v, want board 3 with two columns", ref, b, err)
		}
	}
	for _, ref := range []string{"3", "B3-1", "b3-1"} {
		if k, err := q.Ticket(t.Context(), ref); err != nil || k.ID != 3 || k.Labels == nil {
			t.Errorf("ticket %q: got %+v, %v, want ticket 3", ref, k, err)
		}
	}
	for _, ref := range []string{"", "0", "-1", "99", "NO", "B3-2", "B3-", "-", "9999999999999999999"} {
		if _, err := q.Board(t.Context(), ref); events.CodeOf(err) != events.CodeNotFound {
			t.Errorf("board %q: got %v, want not_found", ref, err)
		}
		if _, err := q.Ticket(t.Context(), ref); events.CodeOf(err) != events.CodeNotFound {
			t.Errorf("ticket %q: got %v, want not_found", ref, err)
		}
	}
}

func TestSnapshotIsInTheOrderOfTheBoard(t *testing.T) {
	t.Parallel()
	in := func(column int64, name, rank string) func(*events.TicketCreated) {
		return func(f *events.TicketCreated) { f.ColumnID, f.Column, f.Rank = column, name, rank }
	}
	q := setup(
		t, board(1, "B1", events.Private), ticket(1, 1, 1, in(2, "Done", "b")), ticket(1, 2, 2, in(2, "Done", "B")),
		ticket(1, 3, 3, in(1, "To Do", "b")), ticket(1, 4, 4, in(1, "To Do", "b")), ticket(1, 5, 5, in(1, "To Do", "a")),
		ticket(1, 6, 6, nil), fact{1, 6, events.TicketArchived{}}, fact{1, 0, events.ColumnMoved{ColumnID: 2, Index: 0}},
	)
	got, err := q.Snapshot(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{2, 1, 5, 3, 4}; !slices.Equal(ids(got.Tickets, ticketID), want) {
		t.Errorf("got %v, want %v", ids(got.Tickets, ticketID), want)
	}
	if position, err := q.Position(t.Context()); err != nil || got.Position != 9 || position != 9 {
		t.Errorf("got position %d and %d, %v, want 9", got.Position, position, err)
	}
	if _, err := q.Snapshot(t.Context(), 2); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("no board: got %v, want not_found", err)
	}
}

func TestCommentsHistoryAndTransitions(t *testing.T) {
	t.Parallel()
	q := setup(
		t, board(1, "B1", events.Private), ticket(1, 1, 1, nil), // minutes 0, 1
		fact{1, 1, events.CommentAdded{CommentID: 1, Text: "Hello"}},                                                 // 2
		fact{1, 1, events.TicketMoved{FromColumnID: 1, FromColumn: "To Do", ColumnID: 2, Column: "Done", Rank: "a"}}, // 3
		fact{1, 1, events.TicketMoved{FromColumnID: 2, FromColumn: "Done", ColumnID: 2, Column: "Done", Rank: "b"}},  // 4
		fact{1, 1, events.TicketMoved{FromColumnID: 2, FromColumn: "Done", ColumnID: 1, Column: "To Do", Rank: "b"}}, // 5
	)
	comments, err := q.Comments(t.Context(), 1)
	if err != nil || len(comments) != 1 || comments[0].Text != "Hello" || !comments[0].CreatedAt.Equal(epoch.Add(2*time.Minute)) {
		t.Errorf("comments: got %+v, %v", comments, err)
	}
	if c, err := q.Comment(t.Context(), 1); err != nil || c != comments[0] {
		t.Errorf("comment: got %+v, %v", c, err)
	}
	if _, err := q.Comment(t.Context(), 2); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("no comment: got %v, want not_found", err)
	}
	if none, err := q.Comments(t.Context(), 9); err != nil || none == nil || len(none) != 0 {
		t.Errorf("no comments: got %v, %v, want an empty list", none, err)
	}
	history, err := q.TicketHistory(t.Context(), 1)
	if err != nil || len(history) != 3 || history[1].Position != 4 || *history[1].OldValue != "To Do" || *history[1].NewValue != "Done" {
		t.Errorf("history: got %+v, %v", history, err)
	}
	stays, err := q.Transitions(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range stays {
		from, seconds := "-", -1.0
		if s.FromColumn != nil {
			from = *s.FromColumn
		}
		if s.DurationSeconds != nil {
			seconds = *s.DurationSeconds
		}
		got = append(got, fmt.Sprintf("%s>%s %v", from, s.ToColumn, seconds))
	}
	if want := "->To Do 120; To Do>Done 120; Done>To Do -1"; strings.Join(got, "; ") != want {
		t.Errorf("transitions: got %q, want %q", strings.Join(got, "; "), want)
	}
	if _, err := q.Transitions(t.Context(), 2); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("transitions of no ticket: got %v, want not_found", err)
	}
}
