package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Token is an API token as its owner sees it in a list: everything but the
// secret.
type Token struct {
	ID         int64
	UserID     int64
	Name       string
	Prefix     string // the first characters, to recognise it by
	Role       events.Role
	Boards     []int64 // never nil; empty = all of the user's
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil = never
	LastUsedAt *time.Time // nil = never; up to a minute late
	Revoked    bool
}

// shownPrefix is how much of a token is kept in clear: akb_ and 32 of its 256
// bits.
const shownPrefix = len(apiPrefix) + 8

// NewAPIToken returns a fresh secret for StoreToken.
func NewAPIToken() Secret { return newSecret(apiPrefix) }

// StoreToken stores the sum of an API token's secret in tx, which is that of
// the token_issued event.
func (s *Service) StoreToken(ctx context.Context, tx *sql.Tx, issued events.TokenIssued, secret Secret) error {
	if !wellFormed(apiPrefix, secret.text) {
		return fmt.Errorf("store api token %d: the secret is not one of NewAPIToken", issued.TokenID)
	}
	if issued.TokenID <= 0 || issued.UserID <= 0 {
		return fmt.Errorf("store api token %d of user %d: ids must be positive", issued.TokenID, issued.UserID)
	}
	boards := issued.Boards
	if boards == nil {
		boards = []int64{}
	}
	list, err := json.Marshal(boards)
	if err != nil {
		return fmt.Errorf("store api token %d: %w", issued.TokenID, err)
	}
	var expires *string
	if issued.ExpiresAt != nil {
		text := stamp(*issued.ExpiresAt)
		expires = &text
	}
	sum := digestOf(secret.text)
	_, err = tx.ExecContext(ctx, `INSERT INTO api_tokens (id, user_id, name, prefix, token_sha, role, boards, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		issued.TokenID, issued.UserID, issued.Name, secret.text[:shownPrefix], sum[:], string(issued.Role), string(list), stamp(s.cfg.Now()), expires)
	if err != nil {
		return fmt.Errorf("store api token %d: %w", issued.TokenID, err)
	}
	return nil
}

// RevokeToken ends an API token in tx, which is that of the token_revoked event.
// A token without a row (imported, or revoked before) is no error. Call Forget
// with its user after the commit.
func (s *Service) RevokeToken(ctx context.Context, tx *sql.Tx, tokenID int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE api_tokens SET revoked = 1 WHERE id = ?`, tokenID); err != nil {
		return fmt.Errorf("revoke api token %d: %w", tokenID, err)
	}
	return nil
}

const tokenColumns = `SELECT id, user_id, name, prefix, role, boards, created_at, expires_at, last_used_at, revoked FROM api_tokens `

// Tokens lists the API tokens of a user, of everybody where userID is 0, newest
// first; revoked and expired ones are among them. The list is never nil.
func (s *Service) Tokens(ctx context.Context, userID int64) ([]Token, error) {
	where, args := "", []any(nil)
	if userID != 0 {
		where, args = "WHERE user_id = ? ", []any{userID}
	}
	rows, err := s.cfg.Reader.QueryContext(ctx, tokenColumns+where+"ORDER BY id DESC", args...)
	if err != nil {
		return nil, fmt.Errorf("list the api tokens of user %d: %w", userID, err)
	}
	defer func() { _ = rows.Close() }()
	tokens := []Token{}
	for rows.Next() {
		token, err := scanToken(rows)
		if err != nil {
			return nil, fmt.Errorf("list the api tokens of user %d: %w", userID, err)
		}
		tokens = append(tokens, token)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the api tokens of user %d: %w", userID, err)
	}
	return tokens, nil
}

// TokenByID returns one API token, or CodeNotFound.
func (s *Service) TokenByID(ctx context.Context, id int64) (Token, error) {
	token, err := scanToken(s.cfg.Reader.QueryRowContext(ctx, tokenColumns+`WHERE id = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Token{}, events.Errorf(events.CodeNotFound, "There is no API token %d.", id)
	case err != nil:
		return Token{}, fmt.Errorf("read api token %d: %w", id, err)
	}
	return token, nil
}

func scanToken(row interface{ Scan(dest ...any) error }) (Token, error) {
	var t Token
	var boards, created string
	var expires, used sql.NullString
	if err := row.Scan(&t.ID, &t.UserID, &t.Name, &t.Prefix, &t.Role, &boards, &created, &expires, &used, &t.Revoked); err != nil {
		return Token{}, err
	}
	var err error
	if t.CreatedAt, err = parseStamp(created); err != nil {
		return Token{}, err
	}
	for _, optional := range []struct {
		text sql.NullString
		to   **time.Time
	}{{expires, &t.ExpiresAt}, {used, &t.LastUsedAt}} {
		if !optional.text.Valid {
			continue
		}
		at, err := parseStamp(optional.text.String)
		if err != nil {
			return Token{}, err
		}
		*optional.to = &at
	}
	if err := json.Unmarshal([]byte(boards), &t.Boards); err != nil {
		return Token{}, fmt.Errorf("boards: %w", err)
	}
	// An unknown role or a null list would widen the token instead of limiting it.
	if t.Boards == nil || t.Role != events.NoRole && !t.Role.Valid() {
		return Token{}, fmt.Errorf("the limits of api token %d are damaged", t.ID)
	}
	return t, nil
}

// apiPrincipal looks an API token up. Name, kind and admin flag of its user are
// for Check.
func (s *Service) apiPrincipal(ctx context.Context, bearer string, sum digest, now time.Time) (Principal, error) {
	unknown := refused("This API token is not known. Check that it was copied whole, or ask for a new one.")
	if !wellFormed(apiPrefix, bearer) {
		return Principal{}, unknown
	}
	token, err := scanToken(s.cfg.Reader.QueryRowContext(ctx, tokenColumns+`WHERE token_sha = ?`, sum[:]))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Principal{}, unknown
	case err != nil:
		return Principal{}, fmt.Errorf("look up an api token: %w", err)
	case token.Revoked:
		return Principal{}, refused("This API token was revoked. Ask for a new one.")
	}
	p := Principal{
		Actor: events.Actor{ID: token.UserID}, TokenID: token.ID,
		Scope: events.Scope{Boards: token.Boards, Role: token.Role},
	}
	if token.ExpiresAt != nil {
		p.Expires = *token.ExpiresAt
		if !now.Before(p.Expires) {
			return Principal{}, refused("This API token has expired. Ask for a new one.")
		}
	}
	return p, nil
}

// uses collects when API tokens were used, to be written in one transaction.
type uses struct {
	mu      sync.Mutex
	pending map[int64]time.Time
}

func (u *uses) note(tokenID int64, at time.Time) {
	u.mu.Lock()
	u.pending[tokenID] = at
	u.mu.Unlock()
}

func (u *uses) take() map[int64]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.pending) == 0 {
		return nil
	}
	taken := u.pending
	u.pending = make(map[int64]time.Time)
	return taken
}

// putBack keeps what could not be written, without overwriting newer uses.
func (u *uses) putBack(taken map[int64]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, at := range taken {
		if _, newer := u.pending[id]; !newer {
			u.pending[id] = at
		}
	}
}

// Flush writes down when API tokens were last used. Start does so every minute.
func (s *Service) Flush(ctx context.Context) error {
	taken := s.uses.take()
	if taken == nil {
		return nil
	}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(taken)) {
			at := stamp(taken[id])
			_, err := tx.ExecContext(ctx, `UPDATE api_tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)`, at, id, at)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.uses.putBack(taken)
		return fmt.Errorf("save the last use of %d api tokens: %w", len(taken), err)
	}
	return nil
}
