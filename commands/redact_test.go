package commands_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

func person(id int64, name string) commands.Meta {
	return commands.Meta{Actor: events.Actor{Kind: events.Human, ID: id, Name: name}}
}

// team is setup with ben, who is pm of the board and says "Xyzzy" wherever he can.
func team(t *testing.T) (w world, ben commands.Meta) {
	t.Helper()
	w = setup(t)
	w.must(t, trusted, commands.RegisterUser{Name: "ben", DisplayName: "Ben Xyzzy", Kind: events.Human})
	w.must(t, trusted, commands.RegisterUser{Name: "bot", Kind: events.Agent})
	w.must(t, trusted, commands.RegisterUser{Name: "vic", Kind: events.Human})
	ben = person(2, "ben")
	for name, role := range map[commands.Ref]events.Role{"ben": events.PM, "bot": events.AgentRole, "vic": events.ViewerRole} {
		w.must(t, ada, commands.SetMember{Board: "WEB", User: name, Role: role})
	}
	title := "Xyzzy still"
	w.must(t, ben, commands.CreateTicket{Board: "WEB", Title: "Xyzzy", Description: "Xyzzy", Labels: []string{"Xyzzy"}, Assignee: "ben"})
	w.must(t, ben, commands.UpdateTicket{Ticket: "WEB-1", Title: &title})
	w.must(t, ben, commands.AddComment{Ticket: "WEB-1", Text: "Xyzzy one"}, commands.AddComment{Ticket: "WEB-1", Text: "Xyzzy two"})
	w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "By ada"})
	return w, ben
}

// texts joins what the log says, position by position.
func texts(log []events.Envelope) string {
	var b strings.Builder
	for i := range log {
		b.WriteString(string(log[i].JSON()) + "\n")
	}
	return b.String()
}

func TestRedactRefusals(t *testing.T) {
	t.Parallel()
	w, ben := team(t)
	limited := func(m commands.Meta, s events.Scope) commands.Meta { m.Scope = s; return m }
	ticket := commands.Redact{Ticket: "WEB-1", Reason: "test"}
	before := texts(w.log(t))
	for name, test := range map[string]struct {
		by   commands.Meta
		when commands.Redact
		code events.Code
	}{
		"a pm":                      {ben, ticket, events.CodeForbidden},
		"an agent":                  {commands.Meta{Actor: events.Actor{Kind: events.Agent, ID: 3, Name: "bot"}}, ticket, events.CodeForbidden},
		"a viewer":                  {person(4, "vic"), ticket, events.CodeForbidden},
		"nobody known":              {person(99, "zed"), ticket, events.CodeUnauthenticated},
		"of what is not there":      {ben, commands.Redact{Ticket: "WEB-99", Reason: "test"}, events.CodeForbidden},
		"a token of one board":      {limited(ada, events.Scope{Boards: []int64{1}}), ticket, events.CodeForbidden},
		"a token with a role":       {limited(ada, events.Scope{Role: events.PM}), ticket, events.CodeForbidden},
		"no reason":                 {ada, commands.Redact{Ticket: "WEB-1"}, events.CodeInvalid},
		"no target":                 {ada, commands.Redact{Reason: "test"}, events.CodeInvalid},
		"two targets":               {ada, commands.Redact{Ticket: "WEB-1", Comment: 1, Reason: "test"}, events.CodeInvalid},
		"texts of a ticket":         {ada, commands.Redact{Ticket: "WEB-1", Texts: true, Reason: "test"}, events.CodeInvalid},
		"an unknown ticket":         {ada, commands.Redact{Ticket: "WEB-99", Reason: "test"}, events.CodeNotFound},
		"an unknown ticket's id":    {ada, commands.Redact{Ticket: "99", Reason: "test"}, events.CodeNotFound},
		"an unknown comment":        {ada, commands.Redact{Comment: 99, Reason: "test"}, events.CodeNotFound},
		"an unknown user":           {ada, commands.Redact{User: "zed", Reason: "test"}, events.CodeNotFound},
		"yourself":                  {ada, commands.Redact{User: "ada", Reason: "test"}, events.CodeConflict},
		"events the wrong way":      {ada, commands.Redact{From: 5, To: 4, Reason: "test"}, events.CodeInvalid},
		"events that are not there": {ada, commands.Redact{From: 9000, To: 9001, Reason: "test"}, events.CodeNotFound},
		"events without texts":      {ada, commands.Redact{From: 6, To: 6, Reason: "test"}, events.CodeConflict},
	} {
		if _, err := w.seq.Do(t.Context(), test.by, test.when); events.CodeOf(err) != test.code {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
	if _, err := w.seq.Do(t.Context(), ada, ticket, ticket); events.CodeOf(err) != events.CodeInvalid {
		t.Errorf("two at once: got %v, want invalid", err)
	}
	if got := texts(w.log(t)); got != before {
		t.Errorf("a refusal changed the log:\n%s\nbefore:\n%s", got, before)
	}
}

func TestRedactTargets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		when        commands.Redact
		gone, stays []string
	}{
		"a ticket": {
			commands.Redact{Ticket: "WEB-1", Reason: "test"},
			[]string{`"Xyzzy"`, "Xyzzy still", "Xyzzy one", "Xyzzy two"},
			[]string{"By ada", `"name":"ben"`, "WEB-1", "Ben Xyzzy"},
		},
		"a comment":       {commands.Redact{Comment: 1, Reason: "test"}, []string{"Xyzzy one"}, []string{"Xyzzy two", "Xyzzy still"}},
		"a user":          {commands.Redact{User: "ben", Reason: "test"}, []string{"ben", "Ben Xyzzy"}, []string{"Xyzzy one", "deleted user 2", "By ada", `"name":"ada"`}},
		"a user's texts":  {commands.Redact{User: "2", Texts: true, Reason: "test"}, []string{"ben", "Xyzzy"}, []string{"deleted user 2", "By ada"}},
		"a span":          {commands.Redact{From: 10, To: 10, Reason: "test"}, []string{`"description":"Xyzzy"`}, []string{"Xyzzy still", "Xyzzy one"}},
		"all of the span": {commands.Redact{From: 1, To: 99, Reason: "test"}, []string{"Xyzzy one", "Website", "To do", "By ada"}, []string{`"name":"ben"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := team(t)
			plan, err := commands.PlanRedaction(t.Context(), w.store, test.when)
			if err != nil {
				t.Fatal(err)
			}
			r := w.must(t, ada, test.when)
			emptied := 0
			for i := range r.Events {
				if f, err := r.Events[i].Payload(); err == nil && f.Type() == events.TypeDataRedacted {
					emptied += len(f.(events.DataRedacted).Events)
				}
			}
			if emptied != len(plan.Items) {
				t.Errorf("emptied %d events, the plan said %d", emptied, len(plan.Items))
			}
			// log checks the chain.
			text := texts(w.log(t))
			for _, gone := range test.gone {
				if strings.Contains(text, gone) {
					t.Errorf("%q is still there:\n%s", gone, text)
				}
			}
			for _, stays := range test.stays {
				if !strings.Contains(text, stays) {
					t.Errorf("%q is gone:\n%s", stays, text)
				}
			}
			if _, err := w.seq.Do(t.Context(), ada, test.when); events.CodeOf(err) != events.CodeConflict && events.CodeOf(err) != events.CodeNotFound {
				t.Errorf("again: got %v, want that nothing is left", err)
			}
		})
	}
}

// What the Sequencer knew is gone too: later facts do not quote it.
func TestRedactedIsForgottenByDecisions(t *testing.T) {
	t.Parallel()
	w, ben := team(t)
	w.must(t, ada, commands.Redact{User: "ben", Texts: true, Reason: "test"})
	r := w.must(t, ada, commands.AssignTicket{Ticket: "WEB-1"})
	if r.Ticket.Title != events.RedactedText || strings.Contains(texts(r.Events), `"ben"`) {
		t.Errorf("decided on %+v: %s", r.Ticket, texts(r.Events))
	}
	if _, err := w.seq.Do(t.Context(), ben, commands.AddComment{Ticket: "WEB-1", Text: "x"}); events.CodeOf(err) != events.CodeUnauthenticated {
		t.Errorf("ben acts on: %v", err)
	}
	// The place on the board is the old one, and the next number is free.
	if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"}); r.Ticket.Number != 3 || r.Ticket.Column != "To do" {
		t.Errorf("next ticket: %+v", r.Ticket)
	}
	for _, name := range []string{"deleted user 2", "Deleted User 7"} {
		if _, err := w.seq.Do(t.Context(), trusted, commands.RegisterUser{Name: name, Kind: events.Human}); events.CodeOf(err) != events.CodeInvalid {
			t.Errorf("register %q: %v, want invalid", name, err)
		}
	}
}

func TestRedactionCannotBeUndone(t *testing.T) {
	t.Parallel()
	w, _ := team(t)
	m := ada
	m.CommandID = "redaction"
	w.must(t, m, commands.Redact{Comment: 1, Reason: "test"})
	if _, err := w.seq.Do(t.Context(), ada, commands.UndoCommand{CommandID: "redaction"}); events.CodeOf(err) != events.CodeConflict {
		t.Errorf("undo: got %v, want a conflict", err)
	}
	// It does not stand in the way of undoing what was there before.
	if _, err := w.seq.Do(t.Context(), ada, commands.UndoActor{Board: "WEB", Actor: "ben", Since: 9}); err != nil {
		t.Errorf("undo of ben: %v", err)
	}
}

// Commands that wait together with a redaction are decided before it or after
// it, never on what it removes.
func TestRedactionAmongOthers(t *testing.T) {
	t.Parallel()
	w, _ := team(t)
	before := len(w.log(t))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if i == 20 {
				w.must(t, ada, commands.Redact{Ticket: "WEB-1", Reason: "test"})
				return
			}
			w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: fmt.Sprintf("T%d", i)})
		})
	}
	wg.Wait()
	if got := len(w.log(t)) - before; got != 40 {
		t.Errorf("%d events, want 39 tickets and a redaction", got)
	}
	if text := texts(w.log(t)); strings.Contains(text, "Xyzzy one") {
		t.Error("it is still there")
	}
}

// Another process that folds the same log forgets too.
func TestOtherSequencerForgets(t *testing.T) {
	t.Parallel()
	w, _ := team(t)
	other := sequence(t, commands.Config{Store: w.store})
	if r, err := other.Do(t.Context(), ada, commands.AssignTicket{Ticket: "WEB-1", Assignee: "ben"}); err != nil || r.Ticket.Title != "Xyzzy still" {
		t.Fatalf("before: %+v (%v)", r.Ticket, err)
	}
	w.must(t, ada, commands.Redact{Ticket: "WEB-1", Reason: "test"})
	if r, err := other.Do(t.Context(), ada, commands.AssignTicket{Ticket: "WEB-1", Assignee: ""}); err != nil || r.Ticket.Title != events.RedactedText {
		t.Errorf("after: %+v (%v), want the title redacted", r.Ticket, err)
	}
}
