package http

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// redactionWait bounds how long a redaction may take: the read model and the
// database file are written anew.
const redactionWait = 10 * time.Minute

type redactionOrder struct {
	Ticket  commands.Ref `json:"ticket,omitempty" doc:"Id or key: its title, description, criteria, labels, comments, evidence, notes"`
	User    commands.Ref `json:"user,omitempty" doc:"Id or name: becomes \"deleted user N\" everywhere, and cannot sign in any more"`
	Comment int64        `json:"comment,omitempty" doc:"Id"`
	From    int64        `json:"from,omitempty" doc:"First position: every text of these events"`
	To      int64        `json:"to,omitempty" doc:"Last position"`
	Texts   bool         `json:"texts,omitempty" doc:"With user: also what they wrote"`
	Reason  string       `json:"reason,omitempty" doc:"Stays in the log, so say nothing that is to be forgotten"`
	DryRun  bool         `json:"dry_run,omitempty" doc:"Only say what would be emptied"`
}

type redactionView struct {
	Target string                  `json:"target" doc:"ticket/12, comment/7, user/3 or events/5-9"`
	DryRun bool                    `json:"dry_run"`
	Events []commands.RedactedItem `json:"events" doc:"What was emptied, or would be; the type only with dry_run"`
	Names  int64                   `json:"names" doc:"With dry_run: events whose actor's name would go"`
	// OldNames are of events written before names could be erased.
	OldNames int64 `json:"old_names" doc:"With dry_run: events that keep the name, because they were written by a version before 0007"`
	More     bool  `json:"more" doc:"There is more than one redaction takes: ask again"`
	Position int64 `json:"position,omitempty" doc:"Of the last data_redacted event"`
	// Clean: nothing is left in read model, stream and files.
	Clean bool   `json:"clean" doc:"Nothing is left of it in the read model, the stream and the database's files"`
	Left  string `json:"left,omitempty" doc:"Why it is not clean yet, and what to do"`
}

func (s *Server) redactionRoutes() {
	register(s, op{
		method: "POST", path: "/api/redactions", id: "redact", tag: "log", reply: redactionView{},
		summary: "Take texts or a person's name out of the log for good; admins only, cannot be undone",
	}, s.redact)
}

func (s *Server) redact(c *call, in *struct{ Body redactionOrder }) (answer, error) {
	if p := c.principal; !p.Admin || len(p.Scope.Boards) > 0 || p.Scope.Role != events.NoRole {
		return answer{}, events.Errorf(events.CodeForbidden, "Only an admin may redact, with a token that is not limited. Ask one.")
	}
	// Not every writer has deadlines (tests); those of the network do.
	_ = http.NewResponseController(c.gin.Writer).SetWriteDeadline(time.Now().Add(redactionWait + replyTimeout))
	o := in.Body
	cmd := commands.Redact{Ticket: o.Ticket, User: o.User, Comment: o.Comment, From: o.From, To: o.To, Texts: o.Texts, Reason: o.Reason}
	if o.DryRun {
		plan, err := commands.PlanRedaction(c.ctx(), s.deps.Log, cmd)
		if err != nil {
			return answer{}, err
		}
		return answer{view: redactionView{
			Target: plan.Target, DryRun: true, Events: plan.Items, Names: plan.Names, OldNames: plan.OldNames, More: plan.More,
		}}, nil
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	meta.With = s.forget
	if err := s.charge(c, 1); err != nil {
		return answer{}, err
	}
	// It has happened once the command is accepted: whoever asked may hang up, and
	// what follows is finished all the same.
	r, err := s.deps.Commands.Do(c.ctx(), meta, cmd)
	if err != nil {
		return answer{}, err
	}
	view := redactionView{Events: []commands.RedactedItem{}, Position: r.Position, Clean: true}
	for i := range r.Events {
		fact, err := r.Events[i].Payload()
		if err != nil {
			return answer{}, err
		}
		if f, ok := fact.(events.DataRedacted); ok {
			view.Target = f.Target
			if f.UserID != 0 {
				s.deps.Auth.Forget(f.UserID)
			}
			for _, x := range f.Events {
				view.Events = append(view.Events, commands.RedactedItem{Position: x.Position, BoardID: r.Events[i].BoardID, TicketID: r.Events[i].TicketID})
			}
		}
	}
	s.redacted.Store(r.Position) // before the feed comes to it
	view.More = len(view.Events) >= commands.MaxRedacted
	wait, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), redactionWait)
	defer cancel()
	err = s.deps.Watermark.Wait(wait, r.Position)
	if err == nil && s.deps.Clean != nil {
		err = s.deps.Clean(wait, r.Position)
	}
	if err != nil {
		s.log.Error("redacted text may be left", "position", r.Position, "error", err)
		view.Clean, view.Left = false, "The log is redacted, but the rest is not finished: "+err.Error()+". Put that right, then restart the server, which goes on with it."
	}
	return answer{view: view, position: r.Position}, nil
}

// forget is the part of a redaction that is in ordinary tables.
func (s *Server) forget(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
	var errs []error
	boards := map[int64]bool{}
	user := int64(0)
	for i := range r.Events {
		fact, err := r.Events[i].Payload()
		if err != nil {
			return err
		}
		if f, ok := fact.(events.DataRedacted); ok {
			boards[r.Events[i].BoardID], user = true, f.UserID
		}
	}
	if user != 0 {
		errs = append(errs, s.deps.Auth.EraseUser(ctx, tx, user))
	}
	if s.deps.Webhooks != nil {
		for board := range boards {
			errs = append(errs, s.deps.Webhooks.EraseReplies(ctx, tx, board))
		}
		if user != 0 {
			errs = append(errs, s.deps.Webhooks.EraseUser(ctx, tx, user))
		}
	}
	return errors.Join(errs...)
}

// noteRedactions follows the log.
func (s *Server) noteRedactions(batch []events.Envelope) {
	for i := range batch {
		if batch[i].Type == events.TypeDataRedacted {
			s.redacted.Store(batch[i].Position)
		}
	}
}

// sinceRedaction is the variant of an ETag: what a client has kept from before a
// redaction is not what it would get now, even where no version moved on, as that
// of a ticket whose assignee was erased.
func (s *Server) sinceRedaction(variant string) string {
	position := s.redacted.Load()
	switch {
	case position == 0:
		return variant
	case variant == "":
		return "r" + strconv.FormatInt(position, 10)
	}
	return variant + ".r" + strconv.FormatInt(position, 10)
}
