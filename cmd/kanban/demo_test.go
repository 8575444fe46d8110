package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/ops/demo"
)

// prepare starts a demo's server and makes its world.
func prepare(t testing.TB, cfg demo.Config) *demo.World {
	t.Helper()
	a := &app{stderr: t.Output()}
	s, err := a.demoServer(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	_, cfg.SetupToken, _ = strings.Cut(s.setup, "#token=")
	cfg.URL = s.URL()
	w, err := demo.Prepare(t.Context(), cfg)
	t.Cleanup(w.Close)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// happened runs a demo and returns what happened, without times and ids.
func happened(t *testing.T, seed uint64) []string {
	t.Helper()
	w := prepare(t, demo.Config{Seed: seed, Agents: 4, Tickets: 20, Review: true, ShortLease: demoLease})
	var log []string
	summary, err := w.Run(t.Context(), demo.Pace{
		Event: func(e *events.Envelope) error {
			log = append(log, fmt.Sprintf("%d %s ticket %d by %s", e.Version, e.Type, e.TicketID, e.Actor.Name))
			return nil
		},
		Say: func(who, ticket, text string) error {
			log = append(log, fmt.Sprintf("%s %s %s", who, ticket, text))
			return nil
		},
	})
	if err != nil || summary.Tickets != 20 || summary.Open != 0 {
		t.Fatalf("seed %d: %d tickets done, %d open, %v", seed, summary.Tickets, summary.Open, err)
	}
	for _, typ := range []events.Type{events.TypeTicketClaimed, events.TypeLeaseExpired, events.TypeTicketRejected, events.TypeTicketApproved} {
		if summary.ByType[string(typ)] == 0 {
			t.Errorf("seed %d: there was no %s", seed, typ)
		}
	}
	if got, want := summary.Refusals[string(events.CodeStaleClaim)], summary.ByType[string(events.TypeLeaseExpired)]; got != want {
		t.Errorf("seed %d: %d late holders were refused, want %d", seed, got, want)
	}
	c, err := client.New(client.Config{URL: w.URL(), Token: w.Token})
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.Tickets(t.Context(), client.TicketQuery{Board: w.Board.Key, Column: "Done", Paging: client.Paging{Limit: 100}})
	if err != nil || page.Total != 20 {
		t.Errorf("seed %d: %d tickets are in Done, %v; want 20", seed, page.Total, err)
	}
	return log
}

// The same seed gives the same events, another seed gives others, every ticket
// ends done, and no goroutine stays. It does not run beside others, whose
// goroutines it would see.
func TestDemoRepeatsItself(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var first, second, other []string
	t.Run("runs", func(t *testing.T) {
		first, second, other = happened(t, 7), happened(t, 7), happened(t, 9)
	})
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the same seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(first, other) {
		t.Error("another seed gave the same events")
	}
}

// All agents at once finish everything, each ticket once.
func TestFleetFinishesEverything(t *testing.T) {
	t.Parallel()
	w := prepare(t, demo.Config{Seed: 1, Agents: 8, Tickets: 60})
	summary, err := demo.Fleet{World: w}.Run(t.Context())
	if err != nil || summary.Tickets != 60 || summary.Open != 0 {
		t.Fatalf("%d tickets done, %d open, %v", summary.Tickets, summary.Open, err)
	}
	if got := summary.Refusals[string(events.CodeStaleClaim)]; got != 0 {
		t.Errorf("%d claims were lost, want none", got)
	}
	c, err := client.New(client.Config{URL: w.URL(), Token: w.Token})
	if err != nil {
		t.Fatal(err)
	}
	claimed := map[int64]int{}
	for e, err := range c.AllEvents(t.Context(), client.EventQuery{Types: []events.Type{events.TypeTicketClaimed}}) {
		if err != nil {
			t.Fatal(err)
		}
		claimed[e.TicketID]++
	}
	for ticket, n := range claimed {
		if n != 1 {
			t.Errorf("ticket %d was claimed %d times, want once", ticket, n)
		}
	}
	if len(claimed) != 60 {
		t.Errorf("%d tickets were claimed, want 60", len(claimed))
	}
	ready, err := c.Ready(t.Context(), commands.Ref(w.Board.Key), 100)
	if err != nil || ready.ReadyTotal+ready.BlockedTotal+ready.DeadBlockedTotal != 0 {
		t.Errorf("ready = %+v, %v; want nothing", ready, err)
	}
}
