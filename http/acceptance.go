package http

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// refs is one Ref or a list of them.
type refs []commands.Ref

// UnmarshalJSON reads an id, a key, or a list.
func (r *refs) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		var many []commands.Ref
		err := strict(text, &many)
		*r = many
		return err
	}
	var one commands.Ref
	err := one.UnmarshalJSON(text)
	*r = refs{one}
	return err
}

// Schema says for OpenAPI what UnmarshalJSON reads.
func (refs) Schema(huma.Registry) *huma.Schema {
	one := []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}}
	return &huma.Schema{
		OneOf:       append(one, &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: one}}),
		Description: "An id or a key, or a list of them",
	}
}

type dependencyBody struct {
	DependsOn refs `json:"depends_on" doc:"What must be done first: a ticket of the same board, or several"`
}

type dependencyPath struct {
	TicketPath
	Dependency string `path:"dependency" doc:"Id or key of the ticket that need not be done first any more"`
}

type checklistBody struct {
	Fence int64                        `json:"fence,omitempty" doc:"Of your claim"`
	Items []commands.ChecklistItemSpec `json:"items" doc:"The whole list, in order; only a pm may drop or reword one"`
}

type checkBody struct {
	Fence int64 `json:"fence,omitempty" doc:"Of your claim"`
	Item  int64 `json:"item" doc:"Id of the acceptance criterion"`
	Done  bool  `json:"done"`
}

type evidenceBody struct {
	Fence int64               `json:"fence,omitempty" doc:"Of your claim"`
	Kind  events.EvidenceKind `json:"kind" enum:"link,commit,test_output,note"`
	Text  string              `json:"text"`
}

type evidencePath struct {
	TicketPath
	Evidence int64 `path:"evidence" doc:"Id of the piece of evidence"`
}

type askBody struct {
	Fence int64  `json:"fence,omitempty" doc:"Of your claim"`
	Note  string `json:"note,omitempty"`
}

type approveBody struct {
	Version int64  `json:"version,omitempty" doc:"The one you looked at; refused if the ticket has changed since; 0 = as it is now"`
	Note    string `json:"note,omitempty"`
}

type rejectBody struct {
	Version int64        `json:"version,omitempty" doc:"The one you looked at; 0 = as it is now"`
	Note    string       `json:"note,omitempty" doc:"What is missing"`
	Column  commands.Ref `json:"column,omitempty" doc:"Where the ticket goes: id or name; empty = it stays"`
}

type usageBody struct {
	Fence        int64  `json:"fence,omitempty" doc:"Of your claim"`
	InputTokens  int64  `json:"input_tokens,omitempty"`
	OutputTokens int64  `json:"output_tokens,omitempty"`
	CostMicros   int64  `json:"cost_micros,omitempty" doc:"Millionths of a US dollar"`
	Model        string `json:"model,omitempty"`
	Session      string `json:"session,omitempty"`
}

func (s *Server) acceptanceRoutes() {
	s.dependencyRoutes()
	s.approvalRoutes()
	s.usageRoutes()
	const tag, base = "tickets", "/api/tickets/{id}"
	ticket := readmodel.Ticket{}
	register(s, op{method: "PUT", path: base + "/checklist", id: "set_checklist", summary: "The whole list of acceptance criteria", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body checklistBody
		},
		) (answer, error) {
			return s.write(c, s.ticketReply(in.ID, false), commands.SetChecklist{Ticket: in.ref(), Fence: in.Body.Fence, Items: in.Body.Items})
		})
	register(s, op{method: "POST", path: base + "/checklist", id: "check_item", summary: "Mark one acceptance criterion as done, or as not done", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body checkBody
		},
		) (answer, error) {
			b := &in.Body
			return s.write(c, s.ticketReply(in.ID, false), commands.CheckItem{Ticket: in.ref(), Fence: b.Fence, Item: b.Item, Done: b.Done})
		})
	register(s, op{method: "POST", path: base + "/evidence", id: "add_evidence", summary: "Show something for the work", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body evidenceBody
		},
		) (answer, error) {
			b := &in.Body
			return s.write(c, s.ticketReply(in.ID, false), commands.AddEvidence{
				Ticket: in.ref(), Fence: b.Fence, EvidenceSpec: commands.EvidenceSpec{Kind: b.Kind, Text: b.Text},
			})
		})
	register(s, op{method: http.MethodDelete, path: base + "/evidence/{evidence}", id: "remove_evidence", summary: "Take a piece of evidence back: who added it, or a pm", tag: tag, reply: ticket},
		func(c *call, in *evidencePath) (answer, error) {
			return s.write(c, s.ticketReply(in.ID, false), commands.RemoveEvidence{Ticket: in.ref(), Evidence: in.Evidence})
		})
}

func (s *Server) dependencyRoutes() {
	const tag, base = "tickets", "/api/tickets/{id}/dependencies"
	ticket := readmodel.Ticket{}
	register(s, op{method: "GET", path: base, id: "list_dependencies", summary: "What a ticket waits for, and what waits for it", tag: tag, reply: readmodel.Dependencies{}},
		func(c *call, in *TicketPath) (answer, error) {
			t, err := s.ticket(c, in.ref())
			if err != nil {
				return answer{}, err
			}
			d, err := s.deps.Queries.Dependencies(c.ctx(), t.ID)
			return answer{view: d}, err
		})
	register(s, op{method: "POST", path: base, id: "add_dependency", summary: "Make a ticket wait for others of its board", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body dependencyBody
		},
		) (answer, error) {
			if len(in.Body.DependsOn) == 0 {
				return answer{}, &events.Error{
					Code: events.CodeInvalid, Message: "Say what must be done first: depends_on is the id or key of a ticket, or a list of them.",
					Fields: map[string]string{"depends_on": "is required"},
				}
			}
			cmds := make([]commands.Command, len(in.Body.DependsOn))
			for i, on := range in.Body.DependsOn {
				cmds[i] = commands.AddDependency{Ticket: in.ref(), DependsOn: on}
			}
			return s.write(c, s.ticketReply(in.ID, false), cmds...)
		})
	register(s, op{method: http.MethodDelete, path: base + "/{dependency}", id: "remove_dependency", summary: "A ticket waits no longer for another", tag: tag, reply: ticket},
		func(c *call, in *dependencyPath) (answer, error) {
			return s.write(c, s.ticketReply(in.ID, false), commands.RemoveDependency{Ticket: in.ref(), DependsOn: commands.Ref(in.Dependency)})
		})
}

func (s *Server) approvalRoutes() {
	const tag, base = "tickets", "/api/tickets/{id}"
	ticket := readmodel.Ticket{}
	register(s, op{method: "POST", path: base + "/request-approval", id: "request_approval", summary: "Ask a pm to approve the ticket as it is", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *askBody
		},
		) (answer, error) {
			cmd := commands.RequestApproval{Ticket: in.ref()}
			if in.Body != nil {
				cmd.Fence, cmd.Note = in.Body.Fence, in.Body.Note
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
	register(s, op{method: "POST", path: base + "/approve", id: "approve_ticket", summary: "A pm's yes to the ticket as it is; a later change voids it", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *approveBody
		},
		) (answer, error) {
			cmd := commands.ApproveTicket{Ticket: in.ref()}
			if in.Body != nil {
				cmd.Version, cmd.Note = in.Body.Version, in.Body.Note
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
	register(s, op{method: "POST", path: base + "/reject", id: "reject_ticket", summary: "A pm's no", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *rejectBody
		},
		) (answer, error) {
			cmd := commands.RejectTicket{Ticket: in.ref()}
			if b := in.Body; b != nil {
				cmd.Version, cmd.Note, cmd.Column = b.Version, b.Note, b.Column
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
}

func (s *Server) usageRoutes() {
	const tag, base = "agents", "/api/tickets/{id}/usage"
	usage := readmodel.Usage{}
	register(s, op{method: "POST", path: base, id: "record_usage", summary: "Add what some work on a ticket cost; answers with its sums", tag: tag, reply: usage},
		func(c *call, in *struct {
			TicketPath
			Body usageBody
		},
		) (answer, error) {
			b := &in.Body
			return s.write(c, s.usageReply, commands.RecordUsage{
				Ticket: in.ref(), Fence: b.Fence, InputTokens: b.InputTokens, OutputTokens: b.OutputTokens,
				CostMicros: b.CostMicros, Model: b.Model, Session: b.Session,
			})
		})
	register(s, op{method: "GET", path: base, id: "ticket_usage", summary: "What the work on a ticket cost", tag: tag, reply: usage},
		func(c *call, in *TicketPath) (answer, error) {
			t, err := s.ticket(c, in.ref())
			if err != nil {
				return answer{}, err
			}
			u, err := s.deps.Queries.TicketUsage(c.ctx(), t.ID)
			return answer{view: u}, err
		})
	register(s, op{method: "GET", path: "/api/boards/{id}/usage", id: "board_usage", summary: "What the work on a board cost: by agent, and the most expensive tickets", tag: tag, reply: readmodel.BoardUsage{}},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			u, err := s.deps.Queries.BoardUsage(c.ctx(), id)
			return answer{view: u}, err
		})
}

// usageReply adds up what was reported of a ticket up to the command, so that a
// repeated one is answered as the first time.
func (s *Server) usageReply(ctx context.Context, r *commands.Receipt) (answer, error) {
	if len(r.Events) == 0 {
		return answer{}, errNoFact
	}
	last := &r.Events[len(r.Events)-1]
	var sum readmodel.Usage
	q := events.Query{
		Stream: events.BoardStream(last.BoardID), TicketID: last.TicketID, UpTo: last.Position,
		Types: []events.Type{events.TypeUsageRecorded},
	}
	for e, err := range events.All(ctx, s.deps.Log, q) {
		if err != nil {
			return answer{}, err
		}
		fact, err := e.Payload()
		if err != nil {
			return answer{}, err
		}
		if u, ok := fact.(events.UsageRecorded); ok {
			sum.InputTokens += u.InputTokens
			sum.OutputTokens += u.OutputTokens
			sum.CostMicros += u.CostMicros
			sum.Reports++
		}
	}
	return answer{view: sum}, nil
}
