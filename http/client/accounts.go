package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Session is what a login gives: a short-lived access token and a refresh token
// that works once.
type Session struct {
	AccessToken  string         `json:"access_token"`
	RefreshToken string         `json:"refresh_token"`
	TokenType    string         `json:"token_type"`
	ExpiresIn    int64          `json:"expires_in"` // seconds
	User         readmodel.User `json:"user"`
}

// Register adds a person. setupToken makes the first admin; later it is empty.
func (c *Client) Register(ctx context.Context, name, password, setupToken string) (readmodel.User, error) {
	body := map[string]string{"username": name, "password": password}
	if setupToken != "" {
		body["setup_token"] = setupToken
	}
	return send[readmodel.User](ctx, c, http.MethodPost, body, "api", "auth", "register")
}

// Login exchanges name and password for a session.
func (c *Client) Login(ctx context.Context, name, password string) (Session, error) {
	body := map[string]string{"username": name, "password": password}
	return send[Session](ctx, c, http.MethodPost, body, "api", "auth", "login")
}

// Me is who the token belongs to.
func (c *Client) Me(ctx context.Context) (readmodel.User, error) {
	return get[readmodel.User](ctx, c, nil, "api", "auth", "me")
}

// Token is an API token. Token is its value, filled in only by CreateToken.
type Token struct {
	ID         int64       `json:"id"`
	UserID     int64       `json:"user_id"`
	User       string      `json:"user"`
	Name       string      `json:"name"`
	Prefix     string      `json:"prefix"`
	Role       events.Role `json:"role"`
	Boards     []int64     `json:"boards"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  *time.Time  `json:"expires_at"`
	LastUsedAt *time.Time  `json:"last_used_at"`
	Revoked    bool        `json:"revoked"`
	Token      string      `json:"token,omitempty"`
}

// NewToken asks for an API token.
type NewToken struct {
	// Name is what the token is for.
	Name string `json:"name"`
	// User is whose token it is; empty = an agent called Name where Kind is
	// agent, registered on the way if need be, else the caller.
	User          string           `json:"user,omitempty"`
	Kind          events.ActorKind `json:"kind,omitempty"`
	Role          events.Role      `json:"role,omitempty"` // the most it may be on a board
	Boards        []commands.Ref   `json:"boards,omitempty"`
	ExpiresInDays int              `json:"expires_in_days,omitempty"`
}

// CreateToken issues an API token; its value is shown this once.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (Token, error) {
	return send[Token](ctx, c, http.MethodPost, t, "api", "auth", "tokens")
}

// Tokens lists the API tokens that the caller may manage.
func (c *Client) Tokens(ctx context.Context, p Paging) (Page[Token], error) {
	return get[Page[Token]](ctx, c, p.values(), "api", "auth", "tokens")
}

// RevokeToken ends an API token.
func (c *Client) RevokeToken(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join("api", "auth", "tokens", strconv.FormatInt(id, 10))}, nil)
}
