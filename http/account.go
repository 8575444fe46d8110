package http

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type registration struct {
	Username    string `json:"username" doc:"Unique and permanent"`
	Password    string `json:"password" format:"password"`
	DisplayName string `json:"display_name,omitempty"`
	SetupToken  string `json:"setup_token,omitempty" doc:"Makes the first user, an admin; printed at the first start"`
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password" format:"password"`
}

// readForm reads the form of OAuth 2's password grant too, whose other fields
// mean nothing here.
func (c *credentials) readForm(v url.Values) error {
	for name := range v {
		switch name {
		case "username", "password", "grant_type", "scope", "client_id", "client_secret":
		default:
			return &events.Error{
				Code: events.CodeInvalid, Message: "The form has a field that is not known here. Send username and password.",
				Fields: map[string]string{name: "is not known"},
			}
		}
	}
	c.Username, c.Password = v.Get("username"), v.Get("password")
	return nil
}

type sessionReply struct {
	AccessToken  string         `json:"access_token"`
	RefreshToken string         `json:"refresh_token"`
	TokenType    string         `json:"token_type" enum:"bearer"`
	ExpiresIn    int64          `json:"expires_in" doc:"Seconds until the access token ends"`
	User         readmodel.User `json:"user"`
}

type refreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

type profile struct {
	DisplayName     *string `json:"display_name,omitempty"`
	CurrentPassword string  `json:"current_password,omitempty" format:"password"`
	NewPassword     string  `json:"new_password,omitempty" format:"password"`
}

type profileReply struct {
	readmodel.User
	// A new password ends all sessions; these are of the new one.
	AccessToken  string `json:"access_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	TokenType    string `json:"token_type,omitempty"`
	ExpiresIn    int64  `json:"expires_in,omitempty"`
}

type tokenOrder struct {
	Name          string           `json:"name" doc:"What the token is for"`
	User          string           `json:"user,omitempty" doc:"Whose token; empty = an agent called name where kind is agent, else your own"`
	Kind          events.ActorKind `json:"kind,omitempty" enum:"agent,human"`
	Role          events.Role      `json:"role,omitempty" enum:"pm,agent,viewer" doc:"The most it may be on a board; agent if empty"`
	Boards        []commands.Ref   `json:"boards,omitempty" doc:"Boards it is limited to; empty = all of the user's"`
	ExpiresInDays int              `json:"expires_in_days,omitempty"`
}

type tokenView struct {
	ID         int64       `json:"id"`
	UserID     int64       `json:"user_id"`
	User       string      `json:"user"`
	Name       string      `json:"name"`
	Prefix     string      `json:"prefix"`
	Token      string      `json:"token,omitempty" doc:"The secret, shown this once"`
	Role       events.Role `json:"role"`
	Boards     []int64     `json:"boards"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  *time.Time  `json:"expires_at"`
	LastUsedAt *time.Time  `json:"last_used_at"`
	Revoked    bool        `json:"revoked"`
}

type wsTicket struct {
	Ticket    string `json:"ticket" doc:"For /ws/connect?ticket=, once"`
	ExpiresIn int64  `json:"expires_in" doc:"Seconds"`
}

type nothing struct{}

func (s *Server) accountRoutes() {
	const tag, base = "auth", "/api/auth"
	register(s, op{method: "POST", path: base + "/register", id: "register", summary: "Make an account; with setup_token the first, an admin", tag: tag, status: http.StatusCreated, reply: readmodel.User{}, open: true}, s.registerUser)
	register(s, op{method: "POST", path: base + "/login", id: "login", summary: "Sign in with JSON or a form", tag: tag, reply: sessionReply{}, open: true},
		func(c *call, in *struct{ Body credentials }) (answer, error) {
			got, err := s.deps.Auth.Login(c.ctx(), in.Body.Username, in.Body.Password, c.peer())
			return s.session(c, got, err)
		})
	register(s, op{method: "POST", path: base + "/refresh", id: "refresh", summary: "Exchange a refresh token; each works once", tag: tag, reply: sessionReply{}, open: true},
		func(c *call, in *struct{ Body refreshBody }) (answer, error) {
			got, err := s.deps.Auth.Refresh(c.ctx(), in.Body.RefreshToken)
			return s.session(c, got, err)
		})
	register(s, op{method: "POST", path: base + "/logout", id: "logout", summary: "End the session", tag: tag, status: http.StatusNoContent, open: true}, s.logout)
	register(s, op{method: "GET", path: base + "/me", id: "get_me", summary: "Who am I", tag: tag, reply: readmodel.User{}},
		func(c *call, _ *nothing) (answer, error) {
			u, err := s.deps.Queries.UserByID(c.ctx(), c.principal.Actor.ID)
			return answer{view: u}, err
		})
	register(s, op{method: "PUT", path: base + "/me", id: "update_me", summary: "Change display name or password", tag: tag, reply: profileReply{}}, s.updateMe)
	register(s, op{method: "POST", path: base + "/tokens", id: "issue_token", summary: "Issue an API token, for yourself or an agent", tag: tag, status: http.StatusCreated, reply: tokenView{}}, s.issueToken)
	register(s, op{method: "GET", path: base + "/tokens", id: "list_tokens", summary: "API tokens: your own, or those of the agents of a board; an admin sees all", tag: tag, reply: list[tokenView]{}}, s.listTokens)
	register(s, op{method: "DELETE", path: base + "/tokens/{id}", id: "revoke_token", summary: "End an API token", tag: tag, status: http.StatusNoContent}, s.revokeToken)
	register(s, op{method: "POST", path: base + "/ws-ticket", id: "ws_ticket", summary: "A ticket for one WebSocket connection", tag: tag, status: http.StatusCreated, reply: wsTicket{}},
		func(c *call, _ *nothing) (answer, error) {
			secret, err := s.deps.Auth.IssueTicket(c.principal)
			return answer{view: wsTicket{Ticket: secret.Reveal(), ExpiresIn: 30}}, err
		})
}

// registerUser makes an account: the first with the setup token, later ones as
// the server's policy allows.
func (s *Server) registerUser(c *call, in *struct{ Body registration }) (answer, error) {
	b := &in.Body
	if err := s.deps.Auth.AllowRegistration(c.ctx(), c.peer()); err != nil {
		s.limited(ScopeRegistration)
		return answer{}, err
	}
	if b.SetupToken != "" {
		var a answer
		err := s.deps.Setup.Use(b.SetupToken, func() (err error) {
			a, err = s.makeUser(c, b, true)
			return err
		})
		return a, err
	}
	any, err := s.deps.Queries.HasUsers(c.ctx())
	switch {
	case err != nil:
		return answer{}, err
	case !any:
		return answer{}, events.Errorf(events.CodeForbidden, "The first account needs the setup token that the server printed when it started.")
	case s.cfg.RegistrationClosed:
		return answer{}, events.Errorf(events.CodeForbidden, "Registration is closed on this server. Ask an admin for an account.")
	}
	return s.makeUser(c, b, false)
}

func (s *Server) makeUser(c *call, b *registration, admin bool) (answer, error) {
	hash, err := s.deps.Auth.HashPassword(c.ctx(), b.Password)
	if err != nil {
		return answer{}, err
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	meta.Actor, meta.Trusted = events.SystemActor, true
	meta.RequestSHA = s.deps.Auth.Blind(meta.RequestSHA)
	meta.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		fact, err := payload[events.UserRegistered](&r)
		if err != nil {
			return err
		}
		return s.deps.Auth.SetPassword(ctx, tx, fact.UserID, hash)
	}
	return s.writeAs(c, meta, func(_ context.Context, r *commands.Receipt) (answer, error) {
		fact, err := payload[events.UserRegistered](r)
		if err != nil {
			return answer{}, err
		}
		at := r.Events[0].RecordedAt
		return answer{view: readmodel.User{
			ID: fact.UserID, Username: fact.Name, DisplayName: fact.DisplayName, Kind: fact.Kind,
			Admin: fact.Admin, Active: true, CreatedAt: at, UpdatedAt: at,
		}}, nil
	}, commands.RegisterUser{Name: b.Username, DisplayName: b.DisplayName, Kind: events.Human, Admin: admin})
}

func (s *Server) session(c *call, got auth.Session, err error) (answer, error) {
	if events.CodeOf(err) == events.CodeRateLimited {
		s.limited(ScopeLogin)
	}
	if err != nil {
		return answer{}, err
	}
	u, err := s.deps.Queries.UserByID(c.ctx(), got.User.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{view: sessionReply{
		AccessToken: got.Access.Reveal(), RefreshToken: got.Refresh.Reveal(), TokenType: "bearer",
		ExpiresIn: int64(got.ExpiresIn.Seconds()), User: u,
	}}, nil
}

// logout ends the session of the refresh token in the body, or else that of
// the access token in the header.
func (s *Server) logout(c *call, in *struct{ Body *refreshBody }) (answer, error) {
	if in.Body != nil && in.Body.RefreshToken != "" {
		return answer{}, s.deps.Auth.Logout(c.ctx(), in.Body.RefreshToken)
	}
	if err := s.signIn(c); err != nil {
		return answer{}, err
	}
	return answer{}, s.deps.Auth.EndSession(c.ctx(), c.principal)
}

func (s *Server) updateMe(c *call, in *struct{ Body profile }) (answer, error) {
	b, me := &in.Body, c.principal.Actor.ID
	var reply profileReply
	a := answer{}
	if b.DisplayName != nil {
		meta, err := s.meta(c)
		if err != nil {
			return a, err
		}
		meta.RequestSHA = s.deps.Auth.Blind(meta.RequestSHA)
		if a, err = s.writeAs(c, meta, nil, commands.UpdateUser{UserID: me, DisplayName: b.DisplayName}); err != nil {
			return a, err
		}
	}
	if b.NewPassword != "" {
		got, err := s.deps.Auth.ChangePassword(c.ctx(), c.principal, b.CurrentPassword, b.NewPassword, c.peer())
		if err != nil {
			return answer{}, err
		}
		reply.AccessToken, reply.RefreshToken = got.Access.Reveal(), got.Refresh.Reveal()
		reply.TokenType, reply.ExpiresIn = "bearer", int64(got.ExpiresIn.Seconds())
	}
	if a.view != nil { // minimal
		return a, nil
	}
	var err error
	reply.User, err = s.deps.Queries.UserByID(c.ctx(), me)
	a.view = reply
	return a, err
}

// issueToken issues a token for the caller or for an agent, which is
// registered and made a member of the boards on the way where it is not yet.
func (s *Server) issueToken(c *call, in *struct{ Body tokenOrder }) (answer, error) {
	b := &in.Body
	if b.Role == events.NoRole {
		b.Role = events.AgentRole
	}
	boards := make([]int64, 0, len(b.Boards))
	for _, ref := range b.Boards {
		id, err := s.readable(c, ref)
		if err != nil {
			return answer{}, err
		}
		boards = append(boards, id)
	}
	cmds, owner, err := s.tokenOwner(c, b, boards)
	if err != nil {
		return answer{}, err
	}
	order := commands.IssueToken{User: owner, Name: b.Name, Role: b.Role, Boards: boards}
	if b.ExpiresInDays != 0 {
		if b.ExpiresInDays < 0 || b.ExpiresInDays > 3650 {
			return answer{}, events.Errorf(events.CodeInvalid, "expires_in_days must be 1 to 3650.")
		}
		at := time.Now().UTC().Add(time.Duration(b.ExpiresInDays) * 24 * time.Hour).Truncate(time.Microsecond)
		order.ExpiresAt = &at
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	// The position alone would be a token that nobody ever sees.
	c.gin.Request.Header.Del("Prefer")
	secret := auth.NewAPIToken()
	meta.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		fact, err := payload[events.TokenIssued](&r)
		if err != nil {
			return err
		}
		return s.deps.Auth.StoreToken(ctx, tx, fact, secret)
	}
	return s.writeAs(c, meta, func(_ context.Context, r *commands.Receipt) (answer, error) {
		if r.Repeated {
			return answer{}, events.Errorf(events.CodeConflict, "This token was already issued, and its secret is shown once. Revoke it and issue another with a new Idempotency-Key.")
		}
		fact, err := payload[events.TokenIssued](r)
		if err != nil {
			return answer{}, err
		}
		return answer{view: tokenView{
			ID: fact.TokenID, UserID: fact.UserID, User: owner, Name: fact.Name, Role: fact.Role, Boards: boards,
			Token: secret.Reveal(), Prefix: secret.Reveal()[:12], CreatedAt: r.Events[len(r.Events)-1].RecordedAt, ExpiresAt: fact.ExpiresAt,
		}}, nil
	}, append(cmds, order)...)
}

// tokenOwner names the user of a token and what must happen for it first.
func (s *Server) tokenOwner(c *call, b *tokenOrder, boards []int64) ([]commands.Command, string, error) {
	owner := strings.TrimSpace(b.User)
	if owner == "" {
		if b.Kind != events.Agent {
			return nil, c.principal.Actor.Name, nil
		}
		owner = strings.TrimSpace(b.Name)
	}
	u, err := s.deps.Queries.UserByName(c.ctx(), owner)
	var cmds []commands.Command
	switch {
	case err == nil && u.Kind != events.Agent:
		return nil, owner, nil
	case events.CodeOf(err) == events.CodeNotFound && b.Kind == events.Agent:
		cmds = append(cmds, commands.RegisterUser{Name: owner, Kind: events.Agent})
	case err != nil:
		return nil, "", err
	}
	for _, board := range boards {
		is, err := s.deps.Queries.Role(c.ctx(), board, u.ID)
		if err != nil {
			return nil, "", err
		}
		if is.Role == events.NoRole {
			cmds = append(cmds, commands.SetMember{Board: commands.RefID(board), User: commands.Ref(owner), Role: b.Role})
		}
	}
	return cmds, owner, nil
}

type tokenFilter struct {
	Board string `query:"board" doc:"Id or key of a board that you are pm of: the tokens of agents that are limited to it and to other boards that you are pm of, which are those that you may revoke; an admin gets all that are limited to it"`
}

func (s *Server) listTokens(c *call, in *tokenFilter) (answer, error) {
	owner := c.principal.Actor.ID
	if c.principal.Administers() || in.Board != "" {
		owner = 0
	}
	mayList := func(*auth.Token) (bool, error) { return true, nil }
	if in.Board != "" {
		var err error
		if mayList, err = s.tokensOn(c, commands.Ref(in.Board)); err != nil {
			return answer{}, err
		}
	}
	tokens, err := s.deps.Auth.Tokens(c.ctx(), owner)
	if err != nil {
		return answer{}, err
	}
	kept := tokens[:0]
	for i := range tokens {
		yes, err := mayList(&tokens[i])
		if err != nil {
			return answer{}, err
		}
		if yes {
			kept = append(kept, tokens[i])
		}
	}
	tokens = kept
	out := list[tokenView]{Items: make([]tokenView, 0, len(tokens)), Total: int64(len(tokens))}
	names := map[int64]string{}
	for _, t := range tokens {
		if _, ok := names[t.UserID]; !ok {
			u, err := s.deps.Queries.UserByID(c.ctx(), t.UserID)
			if err != nil && events.CodeOf(err) != events.CodeNotFound {
				return answer{}, err
			}
			names[t.UserID] = u.Username
		}
		out.Items = append(out.Items, tokenView{
			ID: t.ID, UserID: t.UserID, User: names[t.UserID], Name: t.Name, Prefix: t.Prefix, Role: t.Role, Boards: t.Boards,
			CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, Revoked: t.Revoked,
		})
	}
	return answer{view: out}, nil
}

// tokensOn returns a func that tells whether the caller may see a token in the list
// of a board: whoever may revoke it.
func (s *Server) tokensOn(c *call, ref commands.Ref) (func(*auth.Token) (bool, error), error) {
	board, err := s.readable(c, ref)
	if err != nil {
		return nil, err
	}
	manages := map[int64]bool{}
	may := func(board int64) (bool, error) {
		if yes, known := manages[board]; known {
			return yes, nil
		}
		role, err := s.deps.Queries.Access(c.ctx(), board, viewer(c.principal))
		if err != nil && events.CodeOf(err) != events.CodeNotFound {
			return false, err
		}
		manages[board] = err == nil && role.May(events.MayManageBoard)
		return manages[board], nil
	}
	yes, err := may(board)
	if err != nil {
		return nil, err
	}
	if !yes {
		return nil, events.Errorf(events.CodeForbidden, "Only a pm of this board may see the tokens of its agents. Ask one of them.")
	}
	agents := map[int64]bool{}
	return func(t *auth.Token) (bool, error) {
		if !slices.Contains(t.Boards, board) {
			return false, nil
		}
		if c.principal.Administers() {
			return true, nil
		}
		for _, other := range t.Boards {
			if yes, err := may(other); err != nil || !yes {
				return false, err
			}
		}
		if _, known := agents[t.UserID]; !known {
			u, err := s.deps.Queries.UserByID(c.ctx(), t.UserID)
			if err != nil && events.CodeOf(err) != events.CodeNotFound {
				return false, err
			}
			agents[t.UserID] = err == nil && u.Kind == events.Agent
		}
		return agents[t.UserID], nil
	}, nil
}

func (s *Server) revokeToken(c *call, in *struct {
	ID int64 `path:"id"`
},
) (answer, error) {
	t, err := s.deps.Auth.TokenByID(c.ctx(), in.ID)
	if err != nil {
		return answer{}, err
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	meta.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
		return s.deps.Auth.RevokeToken(ctx, tx, in.ID)
	}
	a, err := s.writeAs(c, meta, nil, commands.RevokeToken{UserID: t.UserID, TokenID: in.ID})
	s.deps.Auth.Forget(t.UserID) // even after an error: the commit may have happened
	return a, err
}

// payload returns the last fact of the receipt's events that is an E.
func payload[E events.Event](r *commands.Receipt) (E, error) {
	var none E
	for i := len(r.Events) - 1; i >= 0; i-- {
		fact, err := r.Events[i].Payload()
		if err != nil {
			return none, err
		}
		if e, ok := fact.(E); ok {
			return e, nil
		}
	}
	return none, errNoFact
}
