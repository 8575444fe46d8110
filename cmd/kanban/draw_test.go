package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// drawn is a board with one card of each kind.
func drawn() *readmodel.Snapshot {
	two, one := 2, 1
	pat := "pat"
	now := time.Date(2026, 8, 15, 12, 0, 0, 0, time.UTC)
	return &readmodel.Snapshot{
		Position: 120, Board: readmodel.Board{Key: "WEB", Name: "Website", Frozen: true},
		Columns: []readmodel.Column{
			{ID: 1, Name: "Todo"}, {ID: 2, Name: "Doing", WIPLimit: &two}, {ID: 3, Name: "レビュー", WIPLimit: &one}, {ID: 4, Name: "Done"},
		},
		Tickets: []readmodel.Ticket{
			{Key: "WEB-1", Title: "Say hello to everybody in the room", ColumnID: 1, Priority: events.High, Blocked: true},
			{Key: "WEB-2", Title: "日本語の題名はとても長い", ColumnID: 1, Priority: events.Low, Assignee: &pat},
			{
				Key: "WEB-3", Title: "Held", ColumnID: 2, Priority: events.Urgent, Lease: &readmodel.Lease{Holder: "bot", ExpiresAt: now.Add(12 * time.Minute)},
				Checklist: []events.ChecklistItem{{ID: 1, Done: true}, {ID: 2}},
			},
			{Key: "WEB-4", Title: "Late", ColumnID: 2, Priority: events.Medium, Lease: &readmodel.Lease{Holder: "rob", ExpiresAt: now.Add(-time.Second)}},
			{Key: "WEB-5", Title: "Look \x1b[31mhere", ColumnID: 3, Priority: events.Medium, Approval: &readmodel.Approval{State: "requested"}},
			{Key: "WEB-6", Title: "Café\u0301", ColumnID: 4, Priority: events.Medium, Approval: &readmodel.Approval{State: "approved"}},
			{Key: "WEB-7", Title: "No", ColumnID: 4, Priority: events.Medium, Approval: &readmodel.Approval{State: "rejected"}},
		},
	}
}

func draw(t *testing.T, d drawing) string {
	t.Helper()
	d.now = time.Date(2026, 8, 15, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	if err := d.board(&b, drawn()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBoardIsDrawnSideBySide(t *testing.T) {
	t.Parallel()
	want := `WEB  Website  (position 120, frozen)

Todo (2)              Doing (2/2)           レビュー (1/1)        Done (2)
────────────────────  ────────────────────  ────────────────────  ────────────────────
WEB-1 ! Say hello t…  WEB-3 !! Held         WEB-5 Look [31mhere   WEB-6 Café́
  blocked               @bot 12m left  1/2    approve?              approved
WEB-2 日本語の題名…   WEB-4 Late                                  WEB-7 No
  @pat                  @rob lease over                             rejected
`
	if diff := cmp.Diff(want, draw(t, drawing{width: 86})); diff != "" {
		t.Errorf("board (-want +got):\n%s", diff)
	}
}

func TestNarrowTerminalsStackColumns(t *testing.T) {
	t.Parallel()
	want := `WEB  Website  (position 120, frozen)

Todo (2)
  WEB-1 ! Say hello to e…
    blocked
  … 1 more

Doing (2/2)
  WEB-3 !! Held
    @bot 12m left  1/2
  … 1 more

レビュー (1/1)
  WEB-5 Look [31mhere
    approve?

Done (2)
  WEB-6 Café́
    approved
  … 1 more
`
	if diff := cmp.Diff(want, draw(t, drawing{width: 25, cards: 1})); diff != "" {
		t.Errorf("board (-want +got):\n%s", diff)
	}
}

// Colours change nothing else, and no line is wider than the terminal.
func TestColoursTakeNoRoom(t *testing.T) {
	t.Parallel()
	for width := 1; width < 200; width += 7 {
		grey, coloured := draw(t, drawing{width: width}), draw(t, drawing{width: width, colour: true})
		if !strings.Contains(coloured, "\x1b[") {
			t.Fatalf("width %d: no colours", width)
		}
		for _, s := range []style{strong, faint, red, green, yellow, purple, cyan, "0"} {
			coloured = strings.ReplaceAll(coloured, "\x1b["+string(s)+"m", "")
		}
		if diff := cmp.Diff(trimmed(grey), trimmed(coloured)); diff != "" {
			t.Errorf("width %d: colours change the text (-without +with):\n%s", width, diff)
		}
		for i, line := range strings.Split(grey, "\n") {
			if got := wide.StringWidth(line); i > 0 && got > width {
				t.Errorf("width %d: line %q is %d wide", width, line, got)
			}
		}
	}
}

// trimmed is text without the blanks at the ends of lines.
func trimmed(s string) []string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}
