package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// agent claims a ticket, works through what it has planned, and claims the next.
type agent struct {
	name string
	api  *client.Client
	rng  *rand.Rand

	ticket *readmodel.Ticket
	fence  int64
	todo   []task // on the ticket; empty = claim another
	waits  bool   // and has said so
}

// task is one call about the ticket that the agent holds. A kind of "" is none,
// or one that takes its time on purpose: it is not measured.
type task struct {
	kind string
	do   func(ctx context.Context, r *run) error
}

func (t *task) run(ctx context.Context, r *run) (*events.Error, error) {
	if t.kind == "" {
		return refusal(t.do(ctx, r))
	}
	return refusal(r.meter.call(t.kind, func() error { return t.do(ctx, r) }))
}

// between is a while of that many seconds, to the millisecond.
func between(rng *rand.Rand, low, high int) time.Duration {
	return time.Duration(low*1000+rng.IntN((high-low)*1000)) * time.Millisecond
}

func (a *agent) act(ctx context.Context, r *run) (time.Duration, error) {
	if len(a.todo) == 0 {
		return a.claim(ctx, r)
	}
	next := a.todo[0]
	a.todo = a.todo[1:]
	refused, err := next.run(ctx, r)
	switch {
	case err != nil:
		return 0, err
	case refused != nil:
		return between(a.rng, 2, 5), a.refused(r, next, refused)
	case next.kind == "release":
		return between(a.rng, 5, 9), nil // somebody else may have more luck with it
	}
	a.waits = false
	return between(a.rng, 1, 4), nil
}

// wait says once that the agent waits.
func (a *agent) wait(r *run, ticket string, code events.Code) error {
	if a.waits {
		return nil
	}
	a.waits = true
	return r.say(a.name, ticket, fmt.Sprintf("waits (%s)", code))
}

// refused decides how to go on after a refusal.
func (a *agent) refused(r *run, what task, e *events.Error) error {
	switch e.Code {
	case events.CodeWIPLimit, events.CodePaused, events.CodeFrozen, events.CodeRateLimited, events.CodeUnavailable:
		a.todo = append([]task{what}, a.todo...) // it will pass
		return a.wait(r, a.ticket.Key, e.Code)
	case events.CodeStaleClaim:
		a.todo = nil
		return r.say(a.name, a.ticket.Key, fmt.Sprintf("comes back too late and is refused (%s)", e.Code))
	default:
		a.todo = nil
		if what.kind != "release" {
			a.todo = []task{a.release("I cannot go on: " + e.Message)}
		}
		return r.say(a.name, a.ticket.Key, fmt.Sprintf("is refused (%s)", e.Code))
	}
}

func (a *agent) claim(ctx context.Context, r *run) (time.Duration, error) {
	var got client.Claimed
	refused, err := refusal(r.meter.call("claim_next", func() (err error) {
		got, err = a.api.ClaimNext(ctx, client.NextQuery{Board: boardKey})
		return err
	}))
	switch {
	case err != nil:
		return 0, err
	case refused != nil:
		return between(a.rng, 4, 8), a.wait(r, "", refused.Code)
	case got.Ticket == nil:
		return between(a.rng, 2, 4), nil
	}
	a.ticket, a.fence, a.waits = got.Ticket, got.Lease.Fence, false
	a.todo = a.plan(r)
	return between(a.rng, 1, 3), nil
}

// plan decides what becomes of a claim: mostly the work is done; now and then
// the agent gives up or falls silent, but not on a ticket that has seen it twice.
func (a *agent) plan(r *run) []task {
	todo := []task{a.comment(pick(a.rng, openings))}
	for _, item := range a.ticket.Checklist {
		if item.Done {
			continue
		}
		if a.rng.IntN(3) == 0 {
			todo = append(todo, a.heartbeat())
		}
		todo = append(todo, a.check(item.ID))
	}
	if a.rng.IntN(4) == 0 {
		todo = append(todo, a.comment(pick(a.rng, findings)))
	}
	todo = append(todo, a.usage(), a.complete())
	luck := a.rng.IntN(100)
	before := 1 + a.rng.IntN(len(todo)-1) // what was done until then
	if r.attempts[a.ticket.ID] >= 2 || luck >= 20 {
		return todo
	}
	if luck < 10 {
		r.attempts[a.ticket.ID]++
		return append(todo[:before:before], a.release(pick(a.rng, reasons)))
	}
	if r.w.cfg.ShortLease == 0 {
		return todo
	}
	r.attempts[a.ticket.ID]++
	return append(todo[:before:before], a.silence(), a.lose(), a.late())
}

func (a *agent) comment(text string) task {
	return task{"comment", func(ctx context.Context, _ *run) error {
		_, err := a.api.AddComment(ctx, a.ref(), text)
		return err
	}}
}

func (a *agent) ref() commands.Ref { return commands.Ref(a.ticket.Key) }

func (a *agent) heartbeat() task {
	return task{"heartbeat", func(ctx context.Context, _ *run) error {
		_, err := a.api.Heartbeat(ctx, a.ref(), a.fence, 0)
		return err
	}}
}

func (a *agent) check(item int64) task {
	return task{"check", func(ctx context.Context, _ *run) error {
		_, err := a.api.CheckItem(ctx, commands.CheckItem{Ticket: a.ref(), Fence: a.fence, Item: item, Done: true})
		return err
	}}
}

func (a *agent) usage() task {
	in, out := int64(4000+a.rng.IntN(60000)), int64(300+a.rng.IntN(6000))
	return task{"usage", func(ctx context.Context, _ *run) error {
		_, err := a.api.RecordUsage(ctx, commands.RecordUsage{
			Ticket: a.ref(), Fence: a.fence, InputTokens: in, OutputTokens: out, CostMicros: 3*in + 15*out, Model: "demo", Session: a.name,
		})
		return err
	}}
}

func (a *agent) complete() task {
	commit := fmt.Sprintf("%07x", a.rng.IntN(1<<28))
	return task{"complete", func(ctx context.Context, _ *run) error {
		_, err := a.api.Complete(ctx, commands.CompleteTicket{
			Ticket: a.ref(), Fence: a.fence,
			Evidence: []commands.EvidenceSpec{{Kind: events.Commit, Text: commit}, {Kind: events.TestOutput, Text: "ok  shop/...  all tests passed"}},
		})
		return err
	}}
}

func (a *agent) release(note string) task {
	return task{"release", func(ctx context.Context, _ *run) error {
		_, err := a.api.Release(ctx, commands.ReleaseTicket{Ticket: a.ref(), Fence: a.fence, Note: note})
		return err
	}}
}

// silence is a while in which nothing is heard of the agent.
func (a *agent) silence() task {
	return task{"", func(_ context.Context, r *run) error {
		return r.say(a.name, a.ticket.Key, "falls silent")
	}}
}

// errStillHeld says that the server does not end a lease.
var errStillHeld = errors.New("the server has not ended a lease that ran out")

// lose lets the lease run out: the last sign of life asks for the shortest one,
// and everybody waits until the server has ended it. So the end has its place in
// the order of things, whatever the speed.
func (a *agent) lose() task {
	return task{"", func(ctx context.Context, r *run) error {
		err := r.meter.call("heartbeat", func() error {
			_, err := a.api.Heartbeat(ctx, a.ref(), a.fence, r.w.cfg.ShortLease)
			return err
		})
		if err != nil {
			return err
		}
		waiting, cancel := context.WithTimeoutCause(ctx, r.w.cfg.ShortLease+20*time.Second, errStillHeld)
		defer cancel()
		q := client.EventQuery{After: r.position, Ticket: a.ticket.Key, Types: []events.Type{events.TypeLeaseExpired, events.TypeTicketReleased}}
		for e, err := range r.w.person.Follow(waiting, q, nil) {
			if err != nil {
				return err
			}
			if fact, err := e.Payload(); err == nil && ends(fact, a.fence) {
				return nil
			}
		}
		return context.Cause(waiting)
	}}
}

// ends reports whether a fact ends the claim with that fence.
func ends(fact events.Event, fence int64) bool {
	switch f := fact.(type) {
	case events.LeaseExpired:
		return f.Fence == fence
	case events.TicketReleased:
		return f.Fence == fence
	default: // about something else
		return false
	}
}

// late is what a holder tries who does not know that it has lost its claim.
func (a *agent) late() task {
	late := a.heartbeat()
	late.kind = "late"
	return late
}
