package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// reviewer looks at what waits for approval, the oldest first.
type reviewer struct {
	api  *client.Client
	rng  *rand.Rand
	todo []task
}

func (v *reviewer) act(ctx context.Context, r *run) (time.Duration, error) {
	if len(v.todo) == 0 {
		return v.look(ctx, r)
	}
	next := v.todo[0]
	v.todo = v.todo[1:]
	refused, err := next.run(ctx, r)
	if err != nil {
		return 0, err
	}
	if refused != nil { // somebody else was there: look again
		v.todo = nil
		return between(v.rng, 1, 3), r.say(Reviewer, "", fmt.Sprintf("is refused (%s)", refused.Code))
	}
	return between(v.rng, 0, 1), nil
}

func (v *reviewer) look(ctx context.Context, r *run) (time.Duration, error) {
	var page client.Page[readmodel.Ticket]
	refused, err := refusal(r.meter.call("list", func() (err error) {
		page, err = v.api.Tickets(ctx, client.TicketQuery{Board: boardKey, Column: "Review", Paging: client.Paging{Limit: 100}})
		return err
	}))
	if err != nil || refused != nil {
		return between(v.rng, 4, 8), err
	}
	var oldest *readmodel.Ticket
	for i := range page.Items {
		if t := &page.Items[i]; oldest == nil || t.Version < oldest.Version {
			oldest = t
		}
	}
	if oldest == nil {
		return between(v.rng, 2, 4), nil
	}
	v.todo = v.verdict(r, oldest)
	return between(v.rng, 1, 3), nil // for reading
}

// verdict decides about a ticket. Nothing is rejected more than twice.
func (v *reviewer) verdict(r *run, t *readmodel.Ticket) []task {
	ref := commands.Ref(t.Key)
	if v.rng.IntN(100) >= 18 || r.rejections[t.ID] >= 2 {
		note := pick(v.rng, praises)
		return []task{{"approve", func(ctx context.Context, _ *run) error {
			_, err := v.api.Approve(ctx, commands.ApproveTicket{Ticket: ref, Version: t.Version, Note: note})
			return err
		}}, {"move", func(ctx context.Context, _ *run) error {
			_, err := v.api.MoveTicket(ctx, commands.MoveTicket{Ticket: ref, Column: "Done"}, nil)
			return err
		}}}
	}
	r.rejections[t.ID]++
	complaint := pick(v.rng, complaints)
	version := t.Version
	items := make([]commands.ChecklistItemSpec, 0, len(t.Checklist)+1)
	for _, item := range t.Checklist {
		items = append(items, commands.ChecklistItemSpec{ID: item.ID, Text: item.Text, Done: item.Done})
	}
	items = append(items, commands.ChecklistItemSpec{Text: fmt.Sprintf("mended after review %d: %s", r.rejections[t.ID], complaint)})
	return []task{{"checklist", func(ctx context.Context, _ *run) error {
		changed, err := v.api.SetChecklist(ctx, commands.SetChecklist{Ticket: ref, Items: items}, nil)
		version = changed.Version
		return err
	}}, {"reject", func(ctx context.Context, _ *run) error {
		_, err := v.api.Reject(ctx, commands.RejectTicket{Ticket: ref, Version: version, Note: complaint, Column: "Backlog"})
		return err
	}}}
}

var _ = []actor{(*agent)(nil), (*reviewer)(nil)}
