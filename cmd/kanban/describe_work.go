package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// describeWork says what an event about the work on a ticket tells, "" for any
// other.
func describeWork(fact events.Event) string {
	switch f := fact.(type) {
	case events.TicketClaimed:
		return fmt.Sprintf("claimed it for %s", span(time.Duration(f.LeaseSeconds)*time.Second))
	case events.TicketReleased:
		return released(&f)
	case events.LeaseExpired:
		return fmt.Sprintf("took it from %s, whose lease ran out", f.Holder)
	case events.DependencyAdded:
		return "made it wait for " + f.Key
	case events.DependencyRemoved:
		return "lets it wait no longer for " + f.Key
	case events.ChecklistChanged:
		return fmt.Sprintf("changed the checklist: %s done", progress(f.Items))
	case events.EvidenceAdded:
		return fmt.Sprintf("showed a %s: %s", strings.ReplaceAll(string(f.Kind), "_", " "), f.Text)
	case events.EvidenceRemoved:
		return fmt.Sprintf("removed evidence %d", f.EvidenceID)
	case events.ApprovalRequested:
		return "asked for approval" + because(f.Note)
	case events.TicketApproved:
		return "approved it" + because(f.Note)
	case events.TicketRejected:
		return "rejected it" + because(f.Note)
	case events.ApprovalWithdrawn:
		return "took back what was said about its approval"
	case events.UsageRecorded:
		return fmt.Sprintf("reported %d tokens in, %d out, %s", f.InputTokens, f.OutputTokens, dollars(f.CostMicros))
	case events.TicketRecovered:
		return fmt.Sprintf("brought back %s %q in %s", f.Key, f.Title, f.Column)
	case events.BoardFrozen:
		return "froze the board" + because(f.Reason)
	case events.BoardUnfrozen:
		return "unfroze the board"
	case events.CommandsUndone:
		return fmt.Sprintf("took back %d commands of %s", len(f.CommandIDs), f.Actor)
	case events.WebhookAdded:
		return fmt.Sprintf("added webhook %d to %s", f.WebhookID, f.Host)
	case events.WebhookUpdated:
		return fmt.Sprintf("changed webhook %d to %s", f.WebhookID, f.Host)
	case events.WebhookRemoved:
		return fmt.Sprintf("removed webhook %d to %s", f.WebhookID, f.Host)
	case events.AgentPaused:
		return fmt.Sprintf("paused agent %d", f.UserID) + because(f.Reason)
	case events.AgentResumed:
		return fmt.Sprintf("let agent %d work again", f.UserID)
	default: // describe knows the others
		return ""
	}
}

func released(f *events.TicketReleased) string {
	switch f.Reason {
	case events.Completed:
		return "finished the work" + because(f.Note)
	case events.Revoked:
		return "took it from " + f.Holder + because(f.Note)
	case events.Moved, events.Archived, events.Undone:
		return fmt.Sprintf("ended the claim of %s (%s)", f.Holder, f.Reason)
	case events.Released:
	}
	return "gave it back" + because(f.Note)
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}
