package http

import (
	"context"
	"errors"
	"net/http"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type newComment struct {
	TicketID commands.Ref `json:"ticket_id,omitempty" doc:"Id or key"`
	Ticket   commands.Ref `json:"ticket,omitempty" doc:"The same"`
	Text     string       `json:"text"`
}

type commentText struct {
	Text string `json:"text"`
}

// CommentPath names a comment.
type CommentPath struct {
	ID int64 `path:"id"`
}

func (s *Server) commentRoutes() {
	const tag, base = "comments", "/api/comments"
	comment := readmodel.Comment{}
	register(s, op{method: "GET", path: base + "/ticket/{id}", id: "list_comments", summary: "What was said about a ticket, oldest first", tag: tag, reply: list[readmodel.Comment]{}}, s.listComments)
	register(s, op{method: "POST", path: base, id: "add_comment", summary: "Say something about a ticket", tag: tag, status: http.StatusCreated, reply: comment},
		func(c *call, in *struct{ Body newComment }) (answer, error) {
			ticket := in.Body.TicketID
			if ticket == "" {
				ticket = in.Body.Ticket
			}
			if ticket == "" {
				return answer{}, &events.Error{
					Code: events.CodeInvalid, Message: "Say about which ticket: ticket_id is its id or key.",
					Fields: map[string]string{"ticket_id": "is required"},
				}
			}
			return s.write(c, func(_ context.Context, r *commands.Receipt) (answer, error) {
				fact, err := payload[events.CommentAdded](r)
				if err != nil {
					return answer{}, err
				}
				v := commentView(&r.Events[0], fact)
				return answer{view: v, location: locate("comments", v.ID)}, nil
			}, commands.AddComment{Ticket: ticket, Text: in.Body.Text})
		})
	register(s, op{method: "GET", path: base + "/{id}", id: "get_comment", summary: "A comment", tag: tag, reply: comment},
		func(c *call, in *CommentPath) (answer, error) {
			v, err := s.comment(c, in.ID)
			return answer{view: v}, err
		})
	register(s, op{method: "PUT", path: base + "/{id}", id: "update_comment", summary: "Replace the text: its author, or a pm", tag: tag, reply: comment},
		func(c *call, in *struct {
			CommentPath
			Body commentText
		},
		) (answer, error) {
			ticket, err := s.commentTicket(c, in.ID)
			if err != nil {
				return answer{}, err
			}
			return s.write(c, func(ctx context.Context, r *commands.Receipt) (answer, error) {
				v, err := s.commentAt(ctx, ticket, in.ID, r.Position)
				return answer{view: v}, err
			}, commands.UpdateComment{Ticket: commands.RefID(ticket), CommentID: in.ID, Text: in.Body.Text})
		})
	register(s, op{method: "DELETE", path: base + "/{id}", id: "delete_comment", summary: "Remove a comment: its author, or a pm", tag: tag, status: http.StatusNoContent},
		func(c *call, in *CommentPath) (answer, error) {
			ticket, err := s.commentTicket(c, in.ID)
			if err != nil {
				return answer{}, err
			}
			return s.write(c, nil, commands.DeleteComment{Ticket: commands.RefID(ticket), CommentID: in.ID})
		})
}

func commentView(e *events.Envelope, f events.CommentAdded) readmodel.Comment {
	return readmodel.Comment{
		ID: f.CommentID, TicketID: e.TicketID, BoardID: e.BoardID, Text: f.Text,
		Author: e.Actor.Name, AuthorKind: e.Actor.Kind, CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
	}
}

var errNoComment = events.Errorf(events.CodeNotFound, "There is no such comment, or you may not see it.")

// comment reads a comment that the caller may see.
func (s *Server) comment(c *call, id int64) (readmodel.Comment, error) {
	v, err := s.deps.Queries.Comment(c.ctx(), id)
	if err == nil {
		_, err = s.readable(c, commands.RefID(v.BoardID))
	}
	if events.CodeOf(err) == events.CodeNotFound {
		err = errNoComment
	}
	return v, err
}

// commentTicket finds the ticket of a comment, which a command needs. A repeat
// of a deletion finds no row any more, so the log is asked.
func (s *Server) commentTicket(c *call, id int64) (int64, error) {
	v, err := s.comment(c, id)
	if err == nil || !errors.Is(err, errNoComment) || c.header("Idempotency-Key") == "" {
		return v.TicketID, err
	}
	q := events.Query{Types: []events.Type{events.TypeCommentAdded}}
	for e, readErr := range events.All(c.ctx(), s.deps.Log, q) {
		if readErr != nil {
			return 0, readErr
		}
		if fact, _ := e.Payload(); fact != nil && fact.(events.CommentAdded).CommentID == id {
			if _, err := s.readable(c, commands.RefID(e.BoardID)); err != nil {
				break
			}
			return e.TicketID, nil
		}
	}
	return 0, errNoComment
}

// commentAt folds a comment as of a position, so that a repeated command is
// answered as it was the first time.
func (s *Server) commentAt(ctx context.Context, ticket, id, position int64) (readmodel.Comment, error) {
	var v readmodel.Comment
	q := events.Query{TicketID: ticket, UpTo: position, Types: []events.Type{events.TypeCommentAdded, events.TypeCommentUpdated}}
	for e, err := range events.All(ctx, s.deps.Log, q) {
		if err != nil {
			return v, err
		}
		fact, err := e.Payload()
		if err != nil {
			return v, err
		}
		switch f := fact.(type) {
		case events.CommentAdded:
			if f.CommentID == id {
				v = commentView(e, f)
			}
		case events.CommentUpdated:
			if f.CommentID == id {
				v.Text, v.UpdatedAt = f.Text, e.RecordedAt
			}
		default: // the query asks for no other fact
		}
	}
	if v.ID == 0 {
		return v, errNoComment
	}
	return v, nil
}
