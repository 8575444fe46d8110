package commands

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
)

// scenario is Given events / When command / Then events or refusal, on the pure
// part of the write side: no store, no clock.
type scenario struct {
	t *testing.T
	w *work
}

var (
	ada  = events.Actor{Kind: events.Human, ID: 1, Name: "ada"}  // admin
	pam  = events.Actor{Kind: events.Human, ID: 2, Name: "pam"}  // pm of board 1
	bot  = events.Actor{Kind: events.Agent, ID: 3, Name: "bot"}  // agent on board 1
	vic  = events.Actor{Kind: events.Human, ID: 4, Name: "vic"}  // viewer on board 1
	olga = events.Actor{Kind: events.Human, ID: 5, Name: "olga"} // member of nothing
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

// given starts with five people, board WEB of pam with columns To do, Doing
// (limit 2) and Done, and then adds facts.
func given(t *testing.T, more ...decided) *scenario {
	t.Helper()
	two := 2
	st := newState("log")
	st.directory = newDirectory()
	st.beats = map[int64]events.Heartbeat{}
	s := &scenario{t: t, w: &work{state: st, now: noon, at: noon, min: MinLease}}
	for _, a := range []events.Actor{ada, pam, bot, vic, olga} {
		s.fact(a, decided{stream: events.UserStream(a.ID), fact: events.UserRegistered{
			UserID: a.ID, Name: a.Name, DisplayName: a.Name, Kind: a.Kind, Admin: a == ada,
		}})
	}
	for _, f := range []events.Event{
		events.BoardCreated{Key: "WEB", Name: "Website", Visibility: events.Private, MaxClaims: 1, Columns: []events.Column{
			{ID: 1, Name: "To do", Kind: events.Backlog},
			{ID: 2, Name: "Doing", Kind: events.Active, WIPLimit: &two},
			{ID: 3, Name: "Done", Kind: events.Done},
		}},
		events.MemberAdded{UserID: pam.ID, Name: pam.Name, Role: events.PM},
		events.MemberAdded{UserID: bot.ID, Name: bot.Name, Role: events.AgentRole},
		events.MemberAdded{UserID: vic.ID, Name: vic.Name, Role: events.ViewerRole},
	} {
		s.fact(pam, onBoard(0, f))
	}
	for _, f := range more {
		s.fact(pam, f)
	}
	return s
}

func (s *scenario) fact(a events.Actor, f decided) {
	s.t.Helper()
	if err := s.w.append(Meta{Actor: a}, f); err != nil {
		s.t.Fatal(err)
	}
}

// onBoard is a fact on board 1.
func onBoard(ticket int64, f events.Event) decided {
	return decided{stream: events.BoardStream(1), board: 1, ticket: ticket, fact: f}
}

// ticketIn is ticket WEB-<id>, assigned to bot, in a column of board 1.
func ticketIn(id, column int64, rank string) decided {
	names := map[int64]string{1: "To do", 2: "Doing", 3: "Done"}
	return onBoard(id, events.TicketCreated{
		Number: id, Key: "WEB-" + itoa(int(id)), Title: "Ticket", Priority: events.Medium, Labels: []string{},
		Assignee: "bot", ColumnID: column, Column: names[column], Rank: rank,
	})
}

// when carries out a command and returns its facts.
func (s *scenario) when(m Meta, cmd Command) ([]events.Event, error) {
	s.t.Helper()
	first := len(s.w.pending)
	err := s.w.carryOutOne(&call{meta: m}, cmd)
	var facts []events.Event
	for i := range s.w.pending[first:] {
		f, ferr := s.w.pending[first+i].Payload()
		if ferr != nil {
			s.t.Fatal(ferr)
		}
		facts = append(facts, f)
	}
	return facts, err
}

func by(a events.Actor) Meta { return Meta{Actor: a} }

// then is one row of a table: a command, and its facts or its refusal.
type then struct {
	name  string
	given []decided
	meta  Meta
	when  Command
	want  []events.Event
	code  events.Code // of the refusal, "" = accepted
}

func run(t *testing.T, rows []then) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := given(t, row.given...).when(row.meta, row.when)
			if code := events.CodeOf(err); code != row.code {
				t.Fatalf("%s: got refusal %q (%v), want %q", row.when.CommandType(), code, err, row.code)
			}
			if diff := cmp.Diff(row.want, got); row.code == "" && diff != "" {
				t.Errorf("%s: facts (-want +got):\n%s", row.when.CommandType(), diff)
			}
			if row.code != "" && len(got) > 0 {
				t.Errorf("%s: a refusal left facts: %v", row.when.CommandType(), got)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
