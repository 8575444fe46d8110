package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Fleet lets all agents of a World work at once, as fast as the server answers.
// The World must be one without Review: nobody approves here.
type Fleet struct {
	World *World
	// Wait is how long an agent waits in one call where nothing is ready; 0 = 5 s.
	// These calls are not measured: they take long on purpose.
	Wait time.Duration
}

// Run returns when all tickets are done, or when ctx ends or a call fails, which
// is an error. It measures every call but those that wait.
func (f Fleet) Run(ctx context.Context) (Summary, error) {
	if f.Wait == 0 {
		f.Wait = 5 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(f.World.cfg.Tickets))
	m := newMeter()
	done := make([]int, len(f.World.agents))
	start := time.Now()
	var agents sync.WaitGroup
	for i, c := range f.World.agents {
		agents.Go(func() {
			for {
				finished, err := f.one(ctx, c, m)
				switch {
				case err != nil:
					cancel(fmt.Errorf("%s: %w", f.World.names[i], err)) // the first one counts
					return
				case !finished:
					continue
				}
				if done[i]++; left.Add(-1) == 0 {
					cancel(errAllDone)
					return
				}
			}
		})
	}
	agents.Wait()
	s := Summary{Took: time.Since(start), Open: int(left.Load()), DoneBy: map[string]int{}, ByType: map[string]int{}}
	for i, n := range done {
		s.DoneBy[f.World.names[i]], s.Tickets = n, s.Tickets+n
	}
	m.into(&s)
	if err := context.Cause(ctx); !errors.Is(err, errAllDone) {
		return s, err
	}
	return s, nil
}

// errAllDone ends the agents that wait for more.
var errAllDone = errors.New("all tickets are done")

// one takes a ticket from ready to done; finished is false where none was ready.
func (f Fleet) one(ctx context.Context, c *client.Client, m *meter) (finished bool, err error) {
	var got client.Claimed
	err = m.call("claim_next", func() (err error) {
		got, err = c.ClaimNext(ctx, client.NextQuery{Board: boardKey})
		return err
	})
	if err == nil && got.Ticket == nil {
		got, err = c.ClaimNext(ctx, client.NextQuery{Board: boardKey, Wait: f.Wait})
	}
	if err != nil || got.Ticket == nil {
		return false, err
	}
	return true, work(ctx, c, m, got.Ticket, got.Lease.Fence)
}

// work does on a ticket what an agent does.
func work(ctx context.Context, c *client.Client, m *meter, t *readmodel.Ticket, fence int64) error {
	ref := commands.Ref(t.Key)
	err := m.call("comment", func() error {
		_, err := c.AddComment(ctx, ref, openings[0])
		return err
	})
	for _, item := range t.Checklist {
		if err != nil {
			return err
		}
		err = m.call("check", func() error {
			_, err := c.CheckItem(ctx, commands.CheckItem{Ticket: ref, Fence: fence, Item: item.ID, Done: true})
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := m.call("heartbeat", func() error {
		_, err := c.Heartbeat(ctx, ref, fence, 0)
		return err
	}); err != nil {
		return err
	}
	return m.call("complete", func() error {
		_, err := c.Complete(ctx, commands.CompleteTicket{
			Ticket: ref, Fence: fence, Evidence: []commands.EvidenceSpec{{Kind: events.Commit, Text: "4f2a91c"}},
		})
		return err
	})
}
