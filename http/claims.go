package http

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type claimBody struct {
	LeaseSeconds int64 `json:"lease_seconds,omitempty" doc:"Seconds; 0 = 15 minutes; at least 30, at most 24 hours"`
}

type nextBody struct {
	Column       commands.Ref   `json:"column,omitempty" doc:"Only from this column: id or name"`
	Columns      []commands.Ref `json:"columns,omitempty" doc:"Only from these"`
	Labels       []string       `json:"labels,omitempty" doc:"Only with all of these"`
	LeaseSeconds int64          `json:"lease_seconds,omitempty" doc:"Seconds; 0 = 15 minutes; at least 30, at most 24 hours"`
	WaitSeconds  int64          `json:"wait_seconds,omitempty" minimum:"0" maximum:"60" doc:"How long to wait for a ticket to become ready"`
}

type beatBody struct {
	Fence        int64 `json:"fence,omitempty" doc:"Of your claim"`
	LeaseSeconds int64 `json:"lease_seconds,omitempty" doc:"The lease ends so many seconds from now; 0 = as claimed"`
}

type releaseBody struct {
	Fence int64  `json:"fence,omitempty" doc:"Of your claim"`
	Note  string `json:"note,omitempty"`
}

type completeBody struct {
	Fence    int64                   `json:"fence,omitempty" doc:"Of your claim"`
	Column   commands.Ref            `json:"column,omitempty" doc:"Empty = the first done column, or the first review column where that one needs an approval"`
	Evidence []commands.EvidenceSpec `json:"evidence,omitempty" doc:"What shows that the work was done"`
	Note     string                  `json:"note,omitempty"`
}

// claimReply is a ticket with the caller's lease of it. Both are null where
// nothing was ready; Detail then says why.
type claimReply struct {
	Ticket *readmodel.Ticket `json:"ticket" doc:"null = nothing was ready"`
	Lease  *readmodel.Lease  `json:"lease"`
	Detail string            `json:"detail,omitempty" doc:"Why there is no ticket"`
}

func (s *Server) claimRoutes() {
	const tag, base = "agents", "/api/tickets/{id}"
	ticket := readmodel.Ticket{}
	register(s, op{method: "POST", path: base + "/claim", id: "claim_ticket", summary: "Take a ticket until the lease ends; the fence of the lease goes with your commands", tag: tag, reply: claimReply{}},
		func(c *call, in *struct {
			TicketPath
			Body *claimBody
		},
		) (answer, error) {
			cmd := commands.ClaimTicket{Ticket: in.ref()}
			if in.Body != nil {
				cmd.LeaseSeconds = in.Body.LeaseSeconds
			}
			return s.write(c, s.leaseReply(in.ID), cmd)
		})
	register(s, op{method: "POST", path: "/api/boards/{id}/claim-next", id: "claim_next", summary: "Claim the best ready ticket, or wait for one", tag: tag, reply: claimReply{}},
		func(c *call, in *struct {
			BoardPath
			Body *nextBody
		},
		) (answer, error) {
			if in.Body == nil {
				in.Body = &nextBody{}
			}
			return s.claimNext(c, commands.Ref(in.ID), in.Body)
		})
	register(s, op{method: "POST", path: base + "/heartbeat", id: "heartbeat", summary: "Extend your lease; no event, so it costs the log nothing", tag: tag, reply: claimReply{}},
		func(c *call, in *struct {
			TicketPath
			Body *beatBody
		},
		) (answer, error) {
			cmd := commands.Heartbeat{Ticket: in.ref()}
			if in.Body != nil {
				cmd.Fence, cmd.LeaseSeconds = in.Body.Fence, in.Body.LeaseSeconds
			}
			return s.write(c, s.leaseReply(in.ID), cmd)
		})
	register(s, op{method: "POST", path: base + "/release", id: "release_ticket", summary: "Give a claim back; a pm takes it from its holder", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *releaseBody
		},
		) (answer, error) {
			cmd := commands.ReleaseTicket{Ticket: in.ref()}
			if in.Body != nil {
				cmd.Fence, cmd.Note = in.Body.Fence, in.Body.Note
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
	register(s, op{method: "POST", path: base + "/complete", id: "complete_ticket", summary: "The work is done: add evidence, move the ticket on, end the claim", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *completeBody
		},
		) (answer, error) {
			cmd := commands.CompleteTicket{Ticket: in.ref()}
			if b := in.Body; b != nil {
				cmd.Fence, cmd.Column, cmd.Evidence, cmd.Note = b.Fence, b.Column, b.Evidence, b.Note
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
	register(s, op{method: "GET", path: "/api/boards/{id}/ready", id: "board_ready", summary: "What can be claimed, in the order of claim-next, and what is blocked by what", tag: tag, reply: readmodel.Ready{}},
		func(c *call, in *struct {
			BoardPath
			Limit int `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Of each list"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			r, err := s.deps.Queries.Ready(c.ctx(), id, in.Limit)
			return answer{view: r, position: r.Position}, err
		})
}

// leaseReply is ticketReply with the lease beside the ticket.
func (s *Server) leaseReply(ref string) shape {
	whole := s.ticketReply(ref, false)
	return func(ctx context.Context, r *commands.Receipt) (answer, error) {
		a, err := whole(ctx, r)
		if err != nil {
			return a, err
		}
		t := a.view.(readmodel.Ticket)
		a.view = claimReply{Ticket: &t, Lease: t.Lease}
		return a, nil
	}
}

// maxWait bounds how long claim-next waits.
const maxWait = 60

// claimNext claims the best ready ticket. Where there is none it tries again
// whenever the board's events say that one may have become ready, until the wait
// is over. A refused try leaves no trace, so the command keeps its id.
func (s *Server) claimNext(c *call, board commands.Ref, b *nextBody) (answer, error) {
	if b.WaitSeconds < 0 || b.WaitSeconds > maxWait {
		return answer{}, &events.Error{
			Code: events.CodeInvalid, Message: fmt.Sprintf("wait_seconds must be between 0 and %d.", maxWait),
			Fields: map[string]string{"wait_seconds": fmt.Sprintf("must be between 0 and %d", maxWait)},
		}
	}
	cmd := commands.ClaimNext{Board: board, Columns: b.Columns, Labels: b.Labels, LeaseSeconds: b.LeaseSeconds}
	if b.Column != "" {
		cmd.Columns = append(cmd.Columns, b.Column)
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	if err := s.charge(c, 1); err != nil {
		return answer{}, err
	}
	w := &readiness{s: s, board: board}
	if wait := time.Duration(b.WaitSeconds) * time.Second; wait > 0 {
		s.allowWait(c, wait)
		ctx, cancel := context.WithTimeout(c.ctx(), wait)
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		w.ctx = ctx
	}
	for {
		w.seen = s.deps.Watermark.Position()
		r, err := s.deps.Commands.Do(c.ctx(), meta, cmd)
		code := events.CodeOf(err)
		switch {
		case err == nil:
			return s.conclude(c, r, s.leaseReply(""))
		case code != events.CodeNothingReady && code != events.CodeWIPLimit:
			return answer{}, s.explain(c, err, []commands.Command{cmd})
		case w.ctx != nil && w.next() == nil:
			// Access may have ended meanwhile, and nothing else would notice.
			if _, err := s.deps.Auth.Authenticate(c.ctx(), bearer(c.gin.Request)); err != nil {
				return answer{}, err
			}
		case s.stopping.Err() != nil:
			return answer{}, &events.Error{
				Code: events.CodeUnavailable, RetryAfter: time.Second, Message: "The server is stopping. Ask again in a moment.",
			}
		case c.ctx().Err() != nil:
			return answer{}, c.ctx().Err()
		case w.err != nil:
			return answer{}, w.err
		default:
			return answer{view: claimReply{Detail: userError(err).Message}}, nil
		}
	}
}

// allowWait makes the connection outlive a wait.
func (s *Server) allowWait(c *call, wait time.Duration) {
	c.waits = true
	// Not every writer has deadlines (tests); those of the network do.
	_ = http.NewResponseController(c.gin.Writer).SetWriteDeadline(time.Now().Add(wait + replyTimeout))
}

// readiness waits for what may make a ticket of a board ready.
type readiness struct {
	s     *Server
	board commands.Ref
	ctx   context.Context // nil = no waiting
	seen  int64           // the last try saw everything up to here
	err   error           // why waiting failed, nil where it only ended

	id  int64
	sub Subscription // one for all tries
	// batch is what of it is still to be looked at.
	batch []events.Envelope
	// claimed and by are the ticket and the command of the last claim: the move
	// that belongs to it makes nothing ready, and would wake everybody who waits.
	claimed int64
	by      string
}

// next blocks until an event after the last try may have made a ticket ready. It
// returns an error when the wait is over.
func (w *readiness) next() error {
	if w.sub == nil {
		if w.id, w.err = w.s.boardID(w.ctx, w.board); w.err != nil {
			return w.err
		}
		w.sub = w.s.deps.Subscribe(w.seen)
	}
	for {
		for len(w.batch) > 0 {
			e := &w.batch[0]
			w.batch = w.batch[1:]
			if e.BoardID == w.id && w.wakes(e) && e.Position > w.seen {
				return nil
			}
		}
		var err error
		if w.batch, err = w.sub.Next(w.ctx); err != nil {
			if w.ctx.Err() == nil {
				w.err = err
			}
			return err
		}
	}
}

// wakes reports whether a ticket may be ready, or a column have room, after the
// event that was not before; or the board be closed to the caller.
func (w *readiness) wakes(e *events.Envelope) bool {
	switch e.Type {
	case events.TypeTicketClaimed:
		w.claimed, w.by = e.TicketID, e.CommandID
		return false
	case events.TypeTicketMoved:
		return e.TicketID != w.claimed || e.CommandID != w.by
	case events.TypeTicketCreated, events.TypeTicketRecovered, events.TypeTicketUpdated, events.TypeTicketAssigned,
		events.TypeTicketReleased, events.TypeLeaseExpired, events.TypeTicketArchived, events.TypeTicketRestored,
		events.TypeTicketDeleted, events.TypeDependencyRemoved,
		events.TypeColumnAdded, events.TypeColumnUpdated, events.TypeColumnMoved, events.TypeColumnRemoved,
		events.TypeMemberUpdated, events.TypeMemberRemoved,
		events.TypeBoardUpdated, events.TypeBoardArchived, events.TypeBoardRestored, events.TypeBoardDeleted,
		events.TypeBoardFrozen, events.TypeBoardUnfrozen:
		return true
	default:
		return false
	}
}
