package demo

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// Pace is how a World is run, and who is told.
type Pace struct {
	// Speed is how many seconds of the simulation pass in one; 0 = no pauses.
	Speed float64
	// Event is told every event of the board from the first ticket on, in order;
	// nil = nobody.
	Event func(*events.Envelope) error
	// Say is told what is no event: refusals, silence; nil = nobody.
	Say func(who, ticket, text string) error
}

// run is one run of a World. Everything happens in one goroutine, one call to
// the API at a time.
type run struct {
	w     *World
	pace  Pace
	meter *meter

	queue    queue
	turns    int           // taken so far: who asked first goes first
	now      time.Duration // since the start, on the clock of the simulation
	moved    time.Duration // when the board last changed
	position int64         // of the last event seen

	kinds      map[int64]events.ColumnKind
	keys       map[int64]string
	open       map[int64]bool // tickets that are not done
	done       map[int64]bool
	attempts   map[int64]int // failed claims of a ticket
	rejections map[int64]int
	summary    Summary
}

// actor does one thing at a time and says how long it rests then.
type actor interface {
	act(ctx context.Context, r *run) (rest time.Duration, err error)
}

// stuck is how long nothing may change before a run gives up: somebody has
// archived what others wait for, or frozen the board for good.
const stuck = 15 * time.Minute

// Run lets everybody work until each ticket is done or ctx ends, which is no
// error. The same World.Config gives the same events in the same order, but for
// times and ids, as long as nobody else touches the board.
func (w *World) Run(ctx context.Context, pace Pace) (Summary, error) {
	r := &run{
		w: w, pace: pace, meter: newMeter(), position: w.start,
		kinds: map[int64]events.ColumnKind{}, keys: map[int64]string{},
		open: map[int64]bool{}, done: map[int64]bool{}, attempts: map[int64]int{}, rejections: map[int64]int{},
		summary: Summary{ByType: map[string]int{}, DoneBy: map[string]int{}},
	}
	for _, c := range w.Board.Columns {
		r.kinds[c.ID] = c.Kind
	}
	start := time.Now()
	err := r.work(ctx, start)
	if ctx.Err() != nil {
		err = nil // ended on purpose
	}
	r.summary.Took = time.Since(start)
	r.summary.Tickets, r.summary.Open = len(r.done), len(r.open)
	r.meter.into(&r.summary)
	return r.summary, err
}

func (r *run) work(ctx context.Context, start time.Time) error {
	for i, c := range r.w.agents {
		a := &agent{name: r.w.names[i], api: c, rng: r.w.rng(uint64(i) + 10)}
		r.enqueue(a, time.Duration(a.rng.IntN(3000))*time.Millisecond)
	}
	if r.w.reviewer != nil {
		rita := &reviewer{api: r.w.reviewer, rng: r.w.rng(1)}
		r.enqueue(rita, 5*time.Second)
	}
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	for len(r.open) > 0 {
		next := heap.Pop(&r.queue).(turn)
		if err := r.waitUntil(ctx, start, next.at); err != nil {
			return err
		}
		r.now = next.at
		rest, err := next.actor.act(ctx, r)
		if err == nil {
			err = r.catchUp(ctx)
		}
		if err != nil {
			return err
		}
		if r.now-r.moved > stuck {
			return fmt.Errorf("nothing has changed for %s, and %d tickets are not done", stuck, len(r.open))
		}
		r.enqueue(next.actor, rest)
	}
	return nil
}

// waitUntil lets the wall clock catch up with that of the simulation.
func (r *run) waitUntil(ctx context.Context, start time.Time, at time.Duration) error {
	if r.pace.Speed <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Until(start.Add(time.Duration(float64(at) / r.pace.Speed))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// catchUp reads what has happened on the board.
func (r *run) catchUp(ctx context.Context) error {
	for e, err := range r.w.person.AllEvents(ctx, client.EventQuery{After: r.position, Board: boardKey}) {
		if err != nil {
			return err
		}
		r.position = e.Position
		if err := r.see(&e); err != nil {
			return err
		}
	}
	return nil
}

// see keeps the books by one event.
func (r *run) see(e *events.Envelope) error {
	r.moved = r.now
	r.summary.Events++
	r.summary.ByType[string(e.Type)]++
	fact, err := e.Payload()
	if err != nil {
		return err
	}
	put := func(column int64) {
		isDone := r.kinds[column] == events.Done
		delete(r.open, e.TicketID)
		delete(r.done, e.TicketID)
		if isDone {
			r.done[e.TicketID] = true
		} else {
			r.open[e.TicketID] = true
		}
	}
	switch f := fact.(type) {
	case events.TicketCreated:
		r.keys[e.TicketID] = f.Key
		put(f.ColumnID)
	case events.TicketMoved:
		put(f.ColumnID)
	case events.TicketRestored:
		put(f.ColumnID)
	case events.TicketArchived, events.TicketDeleted:
		delete(r.open, e.TicketID)
	case events.TicketReleased:
		switch f.Reason {
		case events.Completed:
			r.summary.DoneBy[f.Holder]++
		case events.Released:
			r.summary.ByType[givenBack]++
		case events.Revoked, events.Moved, events.Archived, events.Undone:
		}
	default: // says nothing about whether a ticket is done
	}
	if r.pace.Event == nil {
		return nil
	}
	return r.pace.Event(e)
}

func (r *run) say(who, ticket, text string) error {
	if r.pace.Say == nil {
		return nil
	}
	return r.pace.Say(who, ticket, text)
}

// turn is when an actor goes on.
type turn struct {
	at    time.Duration
	order int
	actor actor
}

func (r *run) enqueue(a actor, rest time.Duration) {
	r.turns++
	heap.Push(&r.queue, turn{r.now + rest, r.turns, a})
}

// queue is a heap of turns; of two at the same time the older one is first.
type queue []turn

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q *queue) Push(x any) { *q = append(*q, x.(turn)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// refusal returns the *events.Error of a call, nil where it went through, and
// the error itself where the server did not answer.
func refusal(err error) (*events.Error, error) {
	var e *events.Error
	if err == nil || errors.As(err, &e) {
		return e, nil
	}
	return nil, err
}
