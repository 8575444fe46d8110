package http

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// newBoard takes columns by name alone too.
type newBoard struct {
	Key         string            `json:"key,omitempty" doc:"Prefix of ticket keys; made from the name if empty"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Visibility  events.Visibility `json:"visibility,omitempty" enum:"private,internal"`
	Columns     []newColumn       `json:"columns,omitempty" doc:"Names, or objects; five default columns if empty"`
	MaxClaims   int               `json:"max_claims,omitempty"`
}

type newColumn struct{ commands.ColumnSpec }

// UnmarshalJSON reads a name or an object.
func (n *newColumn) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &n.Name)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(&n.ColumnSpec)
}

type boardPatch struct {
	Name        *string            `json:"name,omitempty"`
	Description *string            `json:"description,omitempty"`
	Visibility  *events.Visibility `json:"visibility,omitempty" enum:"private,internal"`
	MaxClaims   *int               `json:"max_claims,omitempty"`
}

// ownBoard is a board and what the caller may do there.
type ownBoard struct {
	readmodel.Board
	Role string `json:"role" enum:"pm,agent,viewer,admin" doc:"Yours; an admin may do what a pm may"`
}

type memberSpec struct {
	UserID commands.Ref `json:"user_id,omitempty"`
	User   commands.Ref `json:"user,omitempty" doc:"Name or id"`
	Name   commands.Ref `json:"name,omitempty"`
	Role   events.Role  `json:"role" enum:"pm,agent,viewer"`
}

func (m memberSpec) ref() commands.Ref { return cmp.Or(m.UserID, m.User, m.Name) }

// BoardPath names a board.
type BoardPath struct {
	ID string `path:"id" doc:"Id or key"`
}

type memberPath struct {
	BoardPath
	User string `path:"user" doc:"Id or name"`
}

func (s *Server) boardRoutes() {
	const tag, base = "boards", "/api/boards"
	board := ownBoard{}
	register(s, op{method: "GET", path: base, id: "list_boards", summary: "The boards you may see, with what is on them, when something last happened, and your role", tag: tag, reply: list[readmodel.BoardItem]{}}, s.listBoards)
	register(s, op{method: "POST", path: base, id: "create_board", summary: "Make a board; you become its pm", tag: tag, status: http.StatusCreated, reply: board},
		func(c *call, in *struct{ Body newBoard }) (answer, error) {
			b := &in.Body
			cmd := commands.CreateBoard{
				Key: b.Key, Name: b.Name, Description: b.Description, Visibility: b.Visibility, MaxClaims: b.MaxClaims,
			}
			for _, col := range b.Columns {
				cmd.Columns = append(cmd.Columns, col.ColumnSpec)
			}
			return s.write(c, s.boardReply("", true), cmd)
		})
	register(s, op{method: "GET", path: base + "/{id}", id: "get_board", summary: "A board with its columns, and your role there", tag: tag, reply: board},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.boardID(c.ctx(), commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			who := viewer(c.principal)
			role, err := s.deps.Queries.Access(c.ctx(), id, who)
			if err != nil {
				return answer{}, err
			}
			b, err := s.deps.Queries.Board(c.ctx(), strconv.FormatInt(id, 10))
			return boardAnswer(b, who.Standing(role)), err
		})
	register(s, op{method: "PUT", path: base + "/{id}", id: "update_board", summary: "Change what is given", tag: tag, reply: board},
		func(c *call, in *struct {
			BoardPath
			Body boardPatch
		},
		) (answer, error) {
			b := &in.Body
			return s.write(c, s.boardReply(in.ID, false), commands.UpdateBoard{
				Board: commands.Ref(in.ID), Name: b.Name, Description: b.Description, Visibility: b.Visibility, MaxClaims: b.MaxClaims,
			})
		})
	register(s, op{method: "DELETE", path: base + "/{id}", id: "delete_board", summary: "Remove a board from every view; its events stay", tag: tag, status: http.StatusNoContent},
		func(c *call, in *BoardPath) (answer, error) {
			return s.write(c, nil, commands.DeleteBoard{Board: commands.Ref(in.ID)})
		})
	for _, method := range []string{"POST", "PUT"} {
		suffix := map[string]string{"POST": "", "PUT": "_put"}[method]
		register(s, op{method: method, path: base + "/{id}/archive", id: "archive_board" + suffix, summary: "Make a board read only and hide it from lists", tag: tag, reply: board},
			func(c *call, in *BoardPath) (answer, error) {
				return s.write(c, s.boardReply(in.ID, false), commands.ArchiveBoard{Board: commands.Ref(in.ID)})
			})
		register(s, op{method: method, path: base + "/{id}/restore", id: "restore_board" + suffix, summary: "Undo archive", tag: tag, reply: board},
			func(c *call, in *BoardPath) (answer, error) {
				return s.write(c, s.boardReply(in.ID, false), commands.RestoreBoard{Board: commands.Ref(in.ID)})
			})
	}
	register(s, op{method: "GET", path: base + "/{id}/columns", id: "list_columns", summary: "The columns in order", tag: tag, reply: list[readmodel.Column]{}},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			b, err := s.deps.Queries.Board(c.ctx(), strconv.FormatInt(id, 10))
			return answer{view: columnList(b.Columns), version: b.Version}, err
		})
	register(s, op{method: "PUT", path: base + "/{id}/columns", id: "set_columns", summary: "The whole list of columns, in order; one left out is removed", tag: tag, reply: list[readmodel.Column]{}},
		func(c *call, in *struct {
			BoardPath
			Body []newColumn
		},
		) (answer, error) {
			cmd := commands.SetColumns{Board: commands.Ref(in.ID), Columns: make([]commands.ColumnSpec, len(in.Body))}
			for i := range in.Body {
				cmd.Columns[i] = in.Body[i].ColumnSpec
			}
			whole := s.boardReply(in.ID, false)
			return s.write(c, func(ctx context.Context, r *commands.Receipt) (answer, error) {
				a, err := whole(ctx, r)
				if err == nil {
					a.view, a.variant = columnList(a.view.(ownBoard).Columns), ""
				}
				return a, err
			}, cmd)
		})
	register(s, op{method: "GET", path: base + "/{id}/members", id: "list_members", summary: "Who has which role", tag: tag, reply: list[readmodel.Member]{}},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			m, err := s.deps.Queries.Members(c.ctx(), id)
			return answer{view: memberList(m)}, err
		})
	register(s, op{method: "PUT", path: base + "/{id}/members", id: "set_members", summary: "The whole list of members; one left out is removed", tag: tag, reply: list[readmodel.Member]{}}, s.setMembers)
	register(s, op{method: "POST", path: base + "/{id}/members", id: "set_member", summary: "Give one user a role", tag: tag, reply: list[readmodel.Member]{}},
		func(c *call, in *struct {
			BoardPath
			Body memberSpec
		},
		) (answer, error) {
			return s.write(c, s.membersReply(in.ID), commands.SetMember{Board: commands.Ref(in.ID), User: in.Body.ref(), Role: in.Body.Role})
		})
	register(s, op{method: "DELETE", path: base + "/{id}/members/{user}", id: "remove_member", summary: "Take a role away", tag: tag, status: http.StatusNoContent},
		func(c *call, in *memberPath) (answer, error) {
			return s.write(c, nil, commands.RemoveMember{Board: commands.Ref(in.ID), User: commands.Ref(in.User)})
		})
}

func columnList(columns []readmodel.Column) list[readmodel.Column] {
	return list[readmodel.Column]{Items: columns, Total: int64(len(columns))}
}

func memberList(members []readmodel.Member) list[readmodel.Member] {
	if members == nil {
		members = []readmodel.Member{}
	}
	return list[readmodel.Member]{Items: members, Total: int64(len(members))}
}

// boardReply builds a board from the decision's own result; a repeated command
// gets it as of the position of the first time.
func (s *Server) boardReply(ref string, created bool) shape {
	return func(ctx context.Context, r *commands.Receipt) (answer, error) {
		b, role, err := s.boardAfter(ctx, r, ref)
		if err != nil {
			return answer{}, err
		}
		a := boardAnswer(b, role)
		if created {
			a.location = locate("boards", b.ID)
		}
		return a, nil
	}
}

// boardAnswer is the reply that is a board. The role is not of the board's version:
// it may come with the caller.
func boardAnswer(b readmodel.Board, role string) answer {
	return answer{view: ownBoard{b, role}, version: b.Version, variant: role}
}

// boardAfter returns a board as a command left it, and the caller's role there.
func (s *Server) boardAfter(ctx context.Context, r *commands.Receipt, ref string) (readmodel.Board, string, error) {
	if r.Board != nil {
		b := boardView(r.Board)
		return b, standing(callOf(ctx), &b, memberViews(r.Board)), nil
	}
	id, err := s.boardIn(ctx, r, ref)
	if err != nil {
		return readmodel.Board{}, "", err
	}
	shot, err := s.deps.Timeline.BoardAt(ctx, id, r.Position, time.Time{})
	if err != nil {
		return readmodel.Board{}, "", err
	}
	members, err := s.membersAt(ctx, id, r.Position)
	return shot.Board, standing(callOf(ctx), &shot.Board, members), err
}

// standing is the caller's role on a board with these members.
func standing(c *call, b *readmodel.Board, members []readmodel.Member) string {
	who, role := viewer(c.principal), events.NoRole
	for _, m := range members {
		if m.UserID == who.UserID {
			role = m.Role
		}
	}
	return who.Standing(events.EffectiveRole(role, who.Admin, b.Visibility, b.ID, who.Scope))
}

func (s *Server) boardIn(ctx context.Context, r *commands.Receipt, ref string) (int64, error) {
	if len(r.Events) > 0 {
		return r.Events[len(r.Events)-1].BoardID, nil
	}
	return s.readable(callOf(ctx), commands.Ref(ref))
}

// setMembers makes the list of members the given one.
func (s *Server) setMembers(c *call, in *struct {
	BoardPath
	Body []memberSpec
},
) (answer, error) {
	board := commands.Ref(in.ID)
	id, err := s.readable(c, board)
	if err != nil {
		return answer{}, err
	}
	now, err := s.deps.Queries.Members(c.ctx(), id)
	if err != nil {
		return answer{}, err
	}
	cmds := make([]commands.Command, 0, len(in.Body)+len(now))
	keep := func(m readmodel.Member) bool {
		return slices.ContainsFunc(in.Body, func(want memberSpec) bool {
			return want.ref().ID() == m.UserID || strings.EqualFold(string(want.ref()), m.Name)
		})
	}
	// Roles are given before any is taken away, so that the last pm can be
	// replaced in one request; the caller's own goes last of all.
	for _, want := range in.Body {
		cmds = append(cmds, commands.SetMember{Board: board, User: want.ref(), Role: want.Role})
	}
	for _, m := range now {
		if !keep(m) {
			cmds = append(cmds, commands.RemoveMember{Board: board, User: commands.RefID(m.UserID)})
		}
	}
	me := c.principal.Actor
	slices.SortStableFunc(cmds, func(a, b commands.Command) int {
		return cmp.Compare(rank(a, me), rank(b, me))
	})
	if len(cmds) == 0 {
		return answer{view: memberList(now)}, nil
	}
	if c.header("If-Match") != "" && len(cmds) > 1 {
		// It is for one change. That the others are none holds for its version.
		first := cmds[0]
		cmds = slices.DeleteFunc(cmds, func(cmd commands.Command) bool {
			set, ok := cmd.(commands.SetMember)
			return ok && slices.ContainsFunc(now, func(m readmodel.Member) bool {
				return m.Role == set.Role && (set.User.ID() == m.UserID || strings.EqualFold(string(set.User), m.Name))
			})
		})
		if len(cmds) == 0 {
			cmds = []commands.Command{first}
		}
	}
	return s.write(c, s.membersReply(in.ID), cmds...)
}

func rank(cmd commands.Command, me events.Actor) int {
	mine := func(user commands.Ref) bool {
		return user.ID() == me.ID || strings.EqualFold(string(user), me.Name)
	}
	switch c := cmd.(type) {
	case commands.SetMember:
		switch {
		case c.Role == events.PM:
			return 0
		case mine(c.User):
			return 3
		}
		return 1
	case commands.RemoveMember:
		if mine(c.User) {
			return 3
		}
	}
	return 2
}

func (s *Server) membersReply(ref string) shape {
	return func(ctx context.Context, r *commands.Receipt) (answer, error) {
		if r.Board != nil {
			return answer{view: memberList(memberViews(r.Board))}, nil
		}
		id, err := s.boardIn(ctx, r, ref)
		if err != nil {
			return answer{}, err
		}
		members, err := s.membersAt(ctx, id, r.Position)
		return answer{view: memberList(members)}, err
	}
}

// membersAt folds the members of a board as of a position.
func (s *Server) membersAt(ctx context.Context, board, position int64) ([]readmodel.Member, error) {
	roles := map[int64]readmodel.Member{}
	q := events.Query{
		Stream: events.BoardStream(board), UpTo: position,
		Types: []events.Type{events.TypeMemberAdded, events.TypeMemberUpdated, events.TypeMemberRemoved},
	}
	for e, err := range events.All(ctx, s.deps.Log, q) {
		if err != nil {
			return nil, err
		}
		fact, err := e.Payload()
		if err != nil {
			return nil, err
		}
		switch f := fact.(type) {
		case events.MemberAdded:
			roles[f.UserID] = readmodel.Member{BoardID: board, UserID: f.UserID, Name: f.Name, Role: f.Role}
		case events.MemberUpdated:
			roles[f.UserID] = readmodel.Member{BoardID: board, UserID: f.UserID, Name: f.Name, Role: f.Role}
		case events.MemberRemoved:
			delete(roles, f.UserID)
		default: // the query asks for no other fact
		}
	}
	members := make([]readmodel.Member, 0, len(roles))
	for _, m := range roles {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b readmodel.Member) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.UserID, b.UserID))
	})
	return members, nil
}
