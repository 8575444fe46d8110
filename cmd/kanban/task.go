package main

import (
	"fmt"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// writeStanding writes who holds a ticket, what it waits for and how its
// approval stands.
func (a *app) writeStanding(b *strings.Builder, t *readmodel.Ticket) {
	field := func(name, value string) { fmt.Fprintf(b, "  %-9s %s\n", name, value) }
	if l := t.Lease; l != nil {
		field("held by", fmt.Sprintf("%s, fence %d, lease ends %s", clean(l.Holder), l.Fence, a.ago(l.ExpiresAt)))
	}
	if len(t.DependsOn) > 0 {
		state := "all done"
		if t.Blocked {
			state = "blocked"
		}
		field("waits for", fmt.Sprintf("%s (%s)", strings.Join(t.DependsOn, ", "), state))
	}
	if p := t.Approval; p != nil {
		field("approval", fmt.Sprintf("%s by %s, %s%s", p.State, clean(p.By), a.ago(p.At), clean(because(p.Note))))
	}
}

// writeTask writes what is to be done.
func writeTask(b *strings.Builder, t *readmodel.Ticket) {
	for _, part := range []struct{ title, text string }{
		{"", t.Description}, {"Acceptance criteria:\n", t.AcceptanceCriteria},
	} {
		if part.text != "" {
			fmt.Fprintf(b, "\n%s%s\n", part.title, cleanText(strings.TrimRight(part.text, "\r\n")))
		}
	}
	if len(t.Checklist) > 0 {
		fmt.Fprintf(b, "\nChecklist (%s):\n", progress(t.Checklist))
	}
	for _, item := range t.Checklist {
		mark := " "
		if item.Done {
			mark = "x"
		}
		fmt.Fprintf(b, "  [%s] %d  %s\n", mark, item.ID, clean(item.Text))
	}
}

func progress(items []events.ChecklistItem) string {
	done := 0
	for _, item := range items {
		if item.Done {
			done++
		}
	}
	return fmt.Sprintf("%d/%d", done, len(items))
}
