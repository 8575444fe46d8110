package projections

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// histories draws logs that the write side could have written, with some events
// redacted afterwards.
type histories struct {
	t        *rapid.T
	s        *script
	now      *Timeline // what exists, to draw from
	nextID   int64
	boards   int64
	users    int64
	comments int64
	deleted  map[int64][]readmodel.Ticket // by board
	removed  map[int64][]events.Column    // by board
}

func drawHistory(t *rapid.T) []events.Envelope {
	h := begin(t)
	h.steps(60)
	return h.s.log
}

func begin(t *rapid.T) *histories {
	h := &histories{t: t, s: newScript(), now: NewTimeline(), deleted: map[int64][]readmodel.Ticket{}, removed: map[int64][]events.Column{}}
	h.user()
	h.board()
	return h
}

func (h *histories) steps(most int) {
	t := h.t
	for range rapid.IntRange(1, most).Draw(t, "steps") {
		h.s.actor = rapid.SampledFrom([]events.Actor{
			{Kind: events.Human, ID: 1, Name: "ann"}, {Kind: events.Agent, ID: 2, Name: "bot"}, events.SystemActor,
		}).Draw(t, "actor")
		h.s.now = h.s.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		h.step()
		if rapid.IntRange(0, 24).Draw(t, "forget") == 0 {
			h.redaction()
		}
	}
}

// write adds a fact; one in twenty is redacted.
func (h *histories) write(board, ticket int64, fact events.Event) {
	e := h.s.add(h.t, board, ticket, fact)
	if e.Type != events.TypeBoardCreated && rapid.IntRange(0, 19).Draw(h.t, "redact") == 0 {
		redact(e)
	}
	if err := h.now.Apply(e); err != nil {
		h.t.Fatalf("timeline: %v", err)
	}
}

func (h *histories) text() string {
	return rapid.SampledFrom([]string{"Plain", "", "Ünï ✓", `"quoted" \ 'and' %_`, "two\nlines", "<b>&amp;</b>"}).Draw(h.t, "text")
}

func (h *histories) due() *time.Time {
	if rapid.Bool().Draw(h.t, "has due") {
		return nil
	}
	at := epoch.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(h.t, "due"))).Truncate(time.Microsecond)
	return &at
}

func (h *histories) labels() []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"bug", "ui", "a,b", `"x"`}), 0, 3).Draw(h.t, "labels")
}

func (h *histories) user() {
	h.users++
	h.write(0, 0, events.UserRegistered{
		UserID: h.users, Name: fmt.Sprintf("user%d", h.users), DisplayName: h.text(), Kind: events.Human, Admin: h.users == 1,
	})
}

func (h *histories) board() {
	h.boards++
	f := defaultBoard()
	f.Key, f.Description = fmt.Sprintf("B%d", h.boards), h.text()
	f.Columns = f.Columns[:rapid.IntRange(1, 3).Draw(h.t, "columns")]
	h.write(h.boards, 0, f)
}

func (h *histories) step() {
	boards := h.now.Boards()
	if len(boards) == 0 {
		h.board()
		return
	}
	b := rapid.SampledFrom(boards).Draw(h.t, "board")
	tickets := h.now.Tickets(b.ID)
	kind := rapid.IntRange(0, 29).Draw(h.t, "step")
	switch {
	case kind < 6 || len(tickets) == 0 && kind < 22:
		h.ticket(b)
	case kind < 22:
		h.change(b, rapid.SampledFrom(tickets).Draw(h.t, "ticket"))
	case kind == 22:
		h.user()
	case kind == 23:
		h.person()
	case kind == 24:
		h.board()
	case kind == 25 && len(h.deleted[b.ID]) > 0:
		h.recover(b)
	default:
		h.structure(b)
	}
}

func (h *histories) ticket(b readmodel.Board) {
	h.nextID++
	c := rapid.SampledFrom(b.Columns).Draw(h.t, "column")
	f := ticketCreated(h.nextID)
	f.Key, f.Description, f.Labels, f.DueAt = fmt.Sprintf("%s-%d", b.Key, h.nextID), h.text(), h.labels(), h.due()
	f.Assignee = rapid.SampledFrom([]string{"", "ann", "bot"}).Draw(h.t, "assignee")
	f.ColumnID, f.Column, f.Rank, f.OverLimit = c.ID, c.Name, h.rank(), rapid.Bool().Draw(h.t, "over")
	h.write(b.ID, h.nextID, f)
}

func (h *histories) rank() string {
	return rapid.StringMatching(`[a-cA-C0-2]{1,3}`).Draw(h.t, "rank")
}

func (h *histories) change(b readmodel.Board, k readmodel.Ticket) {
	c := rapid.SampledFrom(b.Columns).Draw(h.t, "column")
	comments := h.now.Comments(k.ID)
	var fact events.Event
	switch kind := rapid.IntRange(0, 21).Draw(h.t, "change"); {
	case kind > 11:
		fact = h.work(b, k)
	case kind == 0:
		fact = events.TicketAssigned{Assignee: rapid.SampledFrom([]string{"", "ann", "bot"}).Draw(h.t, "assignee"), Was: deref(k.Assignee)}
	case kind == 1:
		fact = events.TicketArchived{}
	case kind == 2:
		fact = events.TicketRestored{ColumnID: c.ID, Column: c.Name, Rank: h.rank(), OverLimit: rapid.Bool().Draw(h.t, "over")}
	case kind == 3:
		fact = events.TicketDeleted{}
		h.deleted[b.ID] = append(h.deleted[b.ID], k)
	case kind < 7:
		from := rapid.SampledFrom([]int64{k.ColumnID, k.ColumnID, c.ID}).Draw(h.t, "from") // c: the move there was redacted
		fact = events.TicketMoved{
			FromColumnID: from, FromColumn: k.CurrentColumn, ColumnID: c.ID, Column: c.Name, Rank: h.rank(),
			OverLimit: rapid.Bool().Draw(h.t, "over"),
		}
	case kind < 9:
		h.comments++
		fact = events.CommentAdded{CommentID: h.comments, Text: h.text()}
	case kind == 9 && len(comments) > 0:
		id := rapid.SampledFrom(comments).Draw(h.t, "comment").ID
		fact = events.CommentUpdated{CommentID: id, Text: h.text()}
		if rapid.Bool().Draw(h.t, "delete") {
			fact = events.CommentDeleted{CommentID: id}
		}
	default:
		fact = h.update()
	}
	h.write(b.ID, k.ID, fact)
}

// work is a fact about the work on a ticket.
func (h *histories) work(b readmodel.Board, k readmodel.Ticket) events.Event {
	on := rapid.SampledFrom(h.now.Tickets(b.ID)).Draw(h.t, "on")
	holder := rapid.Int64Range(1, 2).Draw(h.t, "holder")
	reason := rapid.SampledFrom([]events.ReleaseReason{events.Completed, events.Released}).Draw(h.t, "reason")
	return rapid.SampledFrom([]events.Event{
		events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: h.s.now.Add(time.Minute)},
		events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: h.s.now.Add(time.Minute), FromColumnID: 1, FromRank: "a0"},
		events.TicketReleased{Fence: 1, Holder: "bot", HolderID: holder, Reason: reason},
		events.LeaseExpired{Fence: 1, Holder: "bot", HolderID: holder},
		events.DependencyAdded{DependsOn: on.ID, Key: on.Key},
		events.DependencyAdded{DependsOn: on.ID, Key: on.Key},
		events.DependencyRemoved{DependsOn: on.ID, Key: on.Key},
		events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Text: h.text(), Done: holder == 1}}},
		events.ChecklistChanged{Items: []events.ChecklistItem{}},
		events.EvidenceAdded{EvidenceID: holder, Kind: events.Note, Text: h.text()},
		events.EvidenceRemoved{EvidenceID: holder, Kind: events.Note},
		events.ApprovalRequested{Version: k.Version, Note: h.text()},
		events.TicketApproved{Version: k.Version, Note: h.text()},
		events.TicketRejected{Version: k.Version, Note: h.text()},
		events.ApprovalWithdrawn{},
		events.UsageRecorded{InputTokens: 5, OutputTokens: holder, CostMicros: 7, Model: "m"},
	}).Draw(h.t, "work")
}

// recover brings a deleted ticket back.
func (h *histories) recover(b readmodel.Board) {
	at := rapid.IntRange(0, len(h.deleted[b.ID])-1).Draw(h.t, "deleted")
	k := h.deleted[b.ID][at]
	h.deleted[b.ID] = slices.Delete(h.deleted[b.ID], at, at+1)
	if _, err := h.now.Ticket(k.ID); err == nil {
		return // its deletion was redacted into something else
	}
	h.comments++
	f := ticketCreated(k.ID)
	f.Key, f.ColumnID, f.Column, f.Rank = k.Key, b.Columns[0].ID, b.Columns[0].Name, h.rank()
	fact := events.TicketRecovered{
		TicketCreated: f, Archived: rapid.Bool().Draw(h.t, "archived"), Checklist: k.Checklist, Evidence: k.Evidence,
		Comments:  []events.RecoveredComment{{ID: h.comments, Text: h.text(), Author: h.s.actor, CreatedAt: h.s.now, UpdatedAt: h.s.now}},
		CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ColumnEnteredAt: k.ColumnEnteredAt,
	}
	if others := h.now.Tickets(b.ID); len(others) > 0 {
		for _, on := range rapid.SliceOfNDistinct(rapid.SampledFrom(others), 0, 3, func(k readmodel.Ticket) int64 { return k.ID }).Draw(h.t, "on") {
			fact.DependsOn = append(fact.DependsOn, events.Dependency{ID: on.ID, Key: on.Key})
		}
	}
	h.write(b.ID, k.ID, fact)
}

func (h *histories) update() events.TicketUpdated {
	var f events.TicketUpdated
	some := func() bool { return rapid.Bool().Draw(h.t, "some") }
	text := func() *string { s := h.text(); return &s }
	if some() {
		f.Title = text()
	}
	if some() {
		f.Description = text()
	}
	if some() {
		f.AcceptanceCriteria = text()
	}
	if some() {
		p := rapid.SampledFrom([]events.Priority{events.Low, events.Urgent}).Draw(h.t, "priority")
		f.Priority = &p
	}
	if some() {
		l := h.labels()
		f.Labels = &l
	}
	f.DueAt = h.due()
	f.ClearDue = f.DueAt == nil && some()
	return f
}

func (h *histories) structure(b readmodel.Board) {
	c := rapid.SampledFrom(b.Columns).Draw(h.t, "column")
	index := rapid.IntRange(0, len(b.Columns)).Draw(h.t, "index")
	used := slices.ContainsFunc(h.now.Tickets(b.ID), func(k readmodel.Ticket) bool { return k.ColumnID == c.ID && !k.Archived })
	name := h.text()
	var fact events.Event
	switch rapid.IntRange(0, 13).Draw(h.t, "structure") {
	case 11:
		fact = rapid.SampledFrom([]events.Event{events.BoardFrozen{Reason: name}, events.BoardUnfrozen{}}).Draw(h.t, "stop")
	case 12:
		fact = events.CommandsUndone{CommandIDs: []string{"c"}, Actor: "bot"}
	case 13:
		fact = events.ColumnUpdated{Column: events.Column{
			ID: c.ID, Name: name, Kind: events.Backlog, Policy: events.Policy{RequireEvidence: true, AllowFrom: []int64{c.ID}},
		}, Was: c.Name}
	case 0:
		fact = events.BoardUpdated{Name: &name}
	case 1:
		internal := events.Internal
		fact = events.BoardUpdated{Description: &name, Visibility: &internal}
	case 2:
		fact = events.BoardArchived{}
	case 3:
		fact = events.BoardRestored{}
	case 4:
		if rapid.IntRange(0, 2).Draw(h.t, "really") > 0 {
			return
		}
		fact = events.BoardDeleted{}
	case 5:
		added := events.Column{ID: int64(len(h.s.log)) + 10, Name: name, Kind: events.Review} // an id never used before
		if gone := h.removed[b.ID]; len(gone) > 0 && rapid.Bool().Draw(h.t, "again") {
			h.removed[b.ID] = gone[1:]
			if !slices.ContainsFunc(b.Columns, func(c readmodel.Column) bool { return c.ID == gone[0].ID }) {
				added = gone[0] // its removal is undone
			}
		}
		fact = events.ColumnAdded{Column: added, Index: index}
	case 6:
		fact = events.ColumnUpdated{Column: events.Column{ID: c.ID, Name: name, Kind: events.Done, WIPLimit: &index}, Was: c.Name}
	case 7:
		fact = events.ColumnMoved{ColumnID: c.ID, Index: index}
	case 8:
		if used || len(b.Columns) == 1 {
			return
		}
		fact = events.ColumnRemoved{ColumnID: c.ID, Name: c.Name}
		h.removed[b.ID] = append(h.removed[b.ID], events.Column(c))
	case 9:
		fact = events.MemberAdded{UserID: int64(index) + 1, Name: fmt.Sprintf("user%d", index+1), Role: events.AgentRole}
	default:
		members := h.now.Members(b.ID)
		if len(members) == 0 {
			return
		}
		m := rapid.SampledFrom(members).Draw(h.t, "member")
		fact = events.MemberUpdated{UserID: m.UserID, Name: m.Name, Role: events.PM, Was: m.Role}
		if rapid.Bool().Draw(h.t, "remove") {
			fact = events.MemberRemoved{UserID: m.UserID, Name: m.Name}
		}
	}
	h.write(b.ID, 0, fact)
}

func (h *histories) person() {
	id := rapid.Int64Range(1, h.users).Draw(h.t, "user")
	name, admin := h.text(), rapid.Bool().Draw(h.t, "admin")
	h.write(0, 0, rapid.SampledFrom([]events.Event{
		events.UserUpdated{UserID: id, DisplayName: &name},
		events.UserUpdated{UserID: id, Admin: &admin},
		events.UserDeactivated{UserID: id},
		events.AgentPaused{UserID: id, Reason: name},
		events.AgentResumed{UserID: id},
		events.TokenIssued{TokenID: 1, UserID: id, Name: "t", Role: events.PM, Boards: []int64{}},
		events.LogImported{Source: "x"},
	}).Draw(h.t, "person"))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
