package commands_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// clock is a time that tests move. The Sequencer's timer is a real one, so who
// moves it sends a command to have the timer set anew.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var bot = commands.Meta{Actor: events.Actor{Kind: events.Agent, ID: 2, Name: "bot"}}

// leases is a world with one agent, three tickets, a clock, and every event on a
// channel.
type leases struct {
	world
	clock *clock
	seen  chan events.Envelope
}

func leaseConfig(l *leases) commands.Config {
	return commands.Config{
		Store: l.store, Now: l.clock.now, MinLease: time.Second, LeaseGrace: -1,
		Publish: func(batch []events.Envelope) {
			for _, e := range batch {
				l.seen <- e
			}
		},
	}
}

func withLeases(t *testing.T) *leases {
	t.Helper()
	l := &leases{world: setup(t), clock: newClock(), seen: make(chan events.Envelope, 1000)}
	l.seq.Stop()
	l.seq = sequence(t, leaseConfig(l))
	l.must(t, trusted, commands.RegisterUser{Name: "bot", Kind: events.Agent})
	l.must(t, ada, commands.SetMember{Board: "WEB", User: "bot", Role: events.AgentRole})
	l.must(t, ada, commands.UpdateBoard{Board: "WEB", MaxClaims: ptr(3)})
	for _, title := range []string{"A", "B", "C"} {
		l.must(t, ada, commands.CreateTicket{Board: "WEB", Title: title})
	}
	return l
}

func ptr[T any](v T) *T { return &v }

// await returns the next event of a type.
func (l *leases) await(t *testing.T, kind events.Type) events.Envelope {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e := <-l.seen:
			if e.Type == kind {
				return e
			}
		case <-deadline:
			t.Fatalf("no %s came", kind)
		}
	}
}

// touch has the Sequencer look at its leases again.
func (l *leases) touch(t *testing.T) {
	t.Helper()
	l.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Touch"})
	r := l.must(t, ada, commands.ClaimTicket{Ticket: "WEB-3", LeaseSeconds: 3600})
	l.must(t, ada, commands.ReleaseTicket{Ticket: "WEB-3", Fence: r.Ticket.Lease.Fence})
}

func TestALeaseThatRanOutIsEnded(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	r := l.must(t, bot, commands.ClaimNext{Board: "WEB", LeaseSeconds: 60})
	if r.Ticket.Lease == nil || r.Ticket.Lease.Fence != r.Events[0].Position || r.Ticket.Column != "Doing" {
		t.Fatalf("claimed %+v, want the fence to be the position of the claim", r.Ticket)
	}
	fence := r.Ticket.Lease.Fence
	l.clock.forward(59 * time.Second)
	beat := l.must(t, bot, commands.Heartbeat{Ticket: "WEB-1", Fence: fence})
	if len(beat.Events) != 0 || !beat.Ticket.Lease.ExpiresAt.Equal(l.clock.now().Add(time.Minute)) {
		t.Errorf("heartbeat: receipt %+v, want no event and a minute from now", beat)
	}
	l.clock.forward(59 * time.Second) // past the lease, within the heartbeat
	l.touch(t)
	l.must(t, bot, commands.UpdateTicket{Ticket: "WEB-1", Title: ptr("Still mine"), Fence: fence})
	l.clock.forward(time.Second)
	l.touch(t)
	e := l.await(t, events.TypeLeaseExpired)
	if e.TicketID != 1 || e.Actor != events.SystemActor {
		t.Errorf("expired: %+v, want ticket 1, by the system", e)
	}
	if back := l.await(t, events.TypeTicketMoved); back.CommandID != e.CommandID || back.TicketID != 1 {
		t.Errorf("after the expiry: %s of ticket %d, want it to go back to its column", back.Type, back.TicketID)
	}
	if _, err := l.seq.Do(t.Context(), bot, commands.CompleteTicket{Ticket: "WEB-1", Fence: fence}); events.CodeOf(err) != events.CodeStaleClaim {
		t.Errorf("the late holder completes: got %v, want stale_claim", err)
	}
	// The row of its heartbeat is gone with it.
	var rows int
	if err := l.store.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM heartbeats").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("heartbeats left: %d (%v), want none", rows, err)
	}
}

func TestLeasesEndAfterARestartToo(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	first := l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-1", LeaseSeconds: 60}).Ticket.Lease.Fence
	second := l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-2", LeaseSeconds: 60}).Ticket.Lease.Fence
	l.must(t, bot, commands.Heartbeat{Ticket: "WEB-2", Fence: second, LeaseSeconds: 3600})
	l.seq.Stop()
	l.clock.forward(2 * time.Minute)
	l.seq = sequence(t, leaseConfig(l))
	if e := l.await(t, events.TypeLeaseExpired); e.TicketID != 1 {
		t.Errorf("ticket %d expired, want 1", e.TicketID)
	}
	if _, err := l.seq.Do(t.Context(), bot, commands.Heartbeat{Ticket: "WEB-1", Fence: first}); events.CodeOf(err) != events.CodeStaleClaim {
		t.Errorf("heartbeat of the late holder: got %v, want stale_claim", err)
	}
	r := l.must(t, bot, commands.Heartbeat{Ticket: "WEB-2", Fence: second})
	if !r.Ticket.Lease.ExpiresAt.Equal(l.clock.now().Add(time.Minute)) {
		t.Errorf("the other lease ends %s, want a minute from now", r.Ticket.Lease.ExpiresAt)
	}
}

func TestHoldersGetAChanceAfterADowntime(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	fence := l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-1", LeaseSeconds: 60}).Ticket.Lease.Fence
	l.seq.Stop()
	l.clock.forward(24 * time.Hour)
	cfg := leaseConfig(l)
	cfg.LeaseGrace = time.Minute
	l.seq = sequence(t, cfg)
	l.must(t, bot, commands.Heartbeat{Ticket: "WEB-1", Fence: fence})
	l.clock.forward(59 * time.Second)
	l.touch(t)
	l.must(t, bot, commands.CompleteTicket{Ticket: "WEB-1", Fence: fence})
}

// A clock that was ahead when a lease was given does not make it last for years.
func TestAClockThatWentBackEndsLeasesInTime(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	l.clock.forward(10 * 365 * 24 * time.Hour)
	l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-1", LeaseSeconds: 60})
	l.seq.Stop()
	l.clock.forward(-10 * 365 * 24 * time.Hour)
	l.seq = sequence(t, leaseConfig(l))
	l.touch(t)
	l.clock.forward(61 * time.Second)
	l.touch(t)
	if e := l.await(t, events.TypeLeaseExpired); e.TicketID != 1 {
		t.Errorf("ticket %d expired, want 1", e.TicketID)
	}
}

func TestHeartbeatsLeaveNothingInTheLedger(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	fence := l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-1"}).Ticket.Lease.Fence
	count := func() (n int) {
		if err := l.store.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM commands").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	m := bot
	m.CommandID = "beat-1"
	for range 3 {
		l.must(t, m, commands.Heartbeat{Ticket: "WEB-1", Fence: fence})
	}
	if after := count(); after != before {
		t.Errorf("the ledger grew from %d to %d by heartbeats", before, after)
	}
	_, err := l.seq.Do(t.Context(), bot, commands.Heartbeat{Ticket: "WEB-1", Fence: fence}, commands.AddComment{Ticket: "WEB-1", Text: "x"})
	if events.CodeOf(err) != events.CodeInvalid {
		t.Errorf("a heartbeat in a list: got %v, want a refusal", err)
	}
}

// A plan with references and dependencies is all or nothing.
func TestAPlanInOneCall(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan := []commands.Command{commands.CreateTicket{Board: "WEB", Title: "Root", As: "t0", Checklist: []string{"works"}}}
	for i := 1; i < 50; i++ {
		name := func(n int) string { return "t" + string(rune('0'+n/10)) + string(rune('0'+n%10)) }
		previous := commands.Ref("$" + name(i-1))
		if i == 1 {
			previous = "$t0"
		}
		plan = append(plan, commands.CreateTicket{Board: "WEB", Title: "Next", As: name(i), DependsOn: []commands.Ref{previous, "$t0"}})
	}
	plan = append(plan, commands.AddComment{Ticket: "$t49", Text: "the last"}, commands.UpdateTicket{Ticket: "$t0", Priority: ptr(events.High)})
	r := w.must(t, ada, plan...)
	if r.Ticket == nil || r.Ticket.Key != "WEB-1" || r.Ticket.Priority != events.High {
		t.Errorf("the plan's last ticket is %+v, want WEB-1 with high priority", r.Ticket)
	}
	next := w.must(t, ada, commands.ClaimNext{Board: "WEB"})
	if next.Ticket.Key != "WEB-1" {
		t.Errorf("the first ready ticket is %s, want WEB-1: all others wait", next.Ticket.Key)
	}
	head := len(w.log(t))
	bad := append(slices.Clone(plan), commands.AddDependency{Ticket: "$t0", DependsOn: "$t49"})
	if _, err := w.seq.Do(t.Context(), ada, bad...); events.CodeOf(err) != events.CodeCycle {
		t.Errorf("a plan that ends in a cycle: got %v, want dependency_cycle", err)
	}
	if _, err := w.seq.Do(t.Context(), ada, commands.AddComment{Ticket: "$t0", Text: "x"}); events.CodeOf(err) != events.CodeInvalid {
		t.Errorf("a name of another list: got %v, want a refusal", err)
	}
	if now := len(w.log(t)); now != head {
		t.Errorf("refused lists left %d events", now-head)
	}
	if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "After"}); r.Ticket.Key != "WEB-51" {
		t.Errorf("the next ticket is %s, want WEB-51: a refused plan takes no numbers", r.Ticket.Key)
	}
}

// The index of ready tickets against a slow look at everything, on random
// graphs; and what the Sequencer folded against a fresh fold of the log.
func TestReadyAgainstAnOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := setup(t)
		defer w.seq.Stop()
		n := rapid.IntRange(2, 12).Draw(rt, "tickets")
		for range n {
			w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T", Priority: rapid.SampledFrom([]events.Priority{events.Low, events.High}).Draw(rt, "priority")})
		}
		ticket := rapid.Custom(func(rt *rapid.T) commands.Ref { return commands.RefID(int64(rapid.IntRange(1, n).Draw(rt, "id"))) })
		for range rapid.IntRange(1, 40).Draw(rt, "changes") {
			var cmd commands.Command
			switch rapid.IntRange(0, 7).Draw(rt, "change") {
			case 0, 1, 2:
				cmd = commands.AddDependency{Ticket: ticket.Draw(rt, "ticket"), DependsOn: ticket.Draw(rt, "on")}
			case 3:
				cmd = commands.RemoveDependency{Ticket: ticket.Draw(rt, "ticket"), DependsOn: ticket.Draw(rt, "on")}
			case 4:
				cmd = commands.MoveTicket{Ticket: ticket.Draw(rt, "ticket"), Column: rapid.SampledFrom([]commands.Ref{"To do", "Done"}).Draw(rt, "column")}
			case 5:
				cmd = commands.ArchiveTicket{Ticket: ticket.Draw(rt, "ticket")}
			case 6:
				cmd = commands.RestoreTicket{Ticket: ticket.Draw(rt, "ticket")}
			case 7:
				cmd = commands.DeleteTicket{Ticket: ticket.Draw(rt, "ticket")}
			}
			if _, err := w.seq.Do(context.Background(), ada, cmd); err != nil && events.CodeOf(err) == events.CodeInternal {
				rt.Fatalf("%s: %v", cmd.CommandType(), err)
			}
		}
		want := oracle(w.log(t))
		w.must(t, ada, commands.UpdateBoard{Board: "WEB", MaxClaims: ptr(100)})
		w.must(t, ada, commands.SetColumns{Board: "WEB", Columns: []commands.ColumnSpec{{Name: "To do"}, {Name: "Doing"}, {Name: "Done"}}})
		var got []int64
		for {
			r, err := w.seq.Do(context.Background(), ada, commands.ClaimNext{Board: "WEB"})
			if events.CodeOf(err) == events.CodeNothingReady {
				break
			}
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, r.Ticket.ID)
		}
		if !slices.Equal(got, want) {
			rt.Errorf("claimed %v, want %v", got, want)
		}
	})
}

// oracle folds a log into the ready tickets, best first, without an index.
func oracle(log []events.Envelope) []int64 {
	type ticket struct {
		id       int64
		column   int64
		rank     string
		priority events.Priority
		archived bool
		on       map[int64]bool
	}
	all := map[int64]*ticket{}
	for i := range log {
		e := &log[i]
		fact, _ := e.Payload()
		t := all[e.TicketID]
		switch f := fact.(type) {
		case events.TicketCreated:
			all[e.TicketID] = &ticket{id: e.TicketID, column: f.ColumnID, rank: f.Rank, priority: f.Priority, on: map[int64]bool{}}
		case events.TicketMoved:
			t.column, t.rank = f.ColumnID, f.Rank
		case events.TicketArchived:
			t.archived = true
		case events.TicketRestored:
			t.archived, t.column, t.rank = false, f.ColumnID, f.Rank
		case events.TicketDeleted:
			delete(all, e.TicketID)
		case events.DependencyAdded:
			t.on[f.DependsOn] = true
		case events.DependencyRemoved:
			delete(t.on, f.DependsOn)
		default: // nothing that readiness rests on
		}
	}
	var ready []*ticket
	for _, t := range all {
		free := !t.archived && t.column == 1
		for on := range t.on {
			free = free && all[on] != nil && all[on].column == 3
		}
		if free {
			ready = append(ready, t)
		}
	}
	slices.SortFunc(ready, func(a, b *ticket) int {
		switch {
		case a.priority != b.priority:
			if a.priority == events.High {
				return -1
			}
			return 1
		case a.rank != b.rank:
			if a.rank < b.rank {
				return -1
			}
			return 1
		}
		return int(a.id - b.id)
	})
	var ids []int64
	for _, t := range ready {
		ids = append(ids, t.id)
	}
	return ids
}
