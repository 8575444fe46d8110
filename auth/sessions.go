package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/events"
)

// Session is what a sign-in or a refresh hands out.
type Session struct {
	Access    Secret
	Refresh   Secret
	ExpiresIn time.Duration // of Access
	User      User
}

// badLogin is the one answer to every failed login, so that it does not tell
// which names exist.
func badLogin() *events.Error {
	return refused("The user name or the password is wrong.")
}

// Login checks a password and starts a session. address is the caller's IP
// address. It returns CodeUnauthenticated for a wrong name or password or a
// deactivated account (the same answer after the same time), CodeRateLimited
// after too many failures, CodeUnavailable when too many sign in at once.
func (s *Service) Login(ctx context.Context, username, password, address string) (Session, error) {
	refund, err := s.chargeLogin(ctx, username, address)
	if err != nil {
		return Session{}, err
	}
	if len(password) > 4*MaxPassword || strings.ContainsRune(username, 0) || len(username) > maxAccount {
		return Session{}, badLogin()
	}
	user, err := s.users.UserByName(ctx, username)
	if err != nil && events.CodeOf(err) != events.CodeNotFound {
		return Session{}, fmt.Errorf("login: look up the user: %w", err)
	}
	if err != nil {
		user = User{}
	}
	match, err := s.checkPassword(ctx, user.ID, password)
	if err != nil {
		return Session{}, fmt.Errorf("login: %w", err)
	}
	if !match || !user.Active {
		return Session{}, badLogin()
	}
	refund()
	return s.StartSession(ctx, user)
}

// StartSession starts a session of a user whose identity is already proven: by
// Login, or by having just registered.
func (s *Service) StartSession(ctx context.Context, user User) (Session, error) {
	family, err := uuid.NewV7()
	if err != nil {
		return Session{}, fmt.Errorf("start a session: %w", err)
	}
	refresh := newSecret(refreshPrefix)
	err = s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return s.storeRefresh(ctx, tx, user.ID, family.String(), refresh)
	})
	if err != nil {
		return Session{}, fmt.Errorf("start a session of user %d: %w", user.ID, err)
	}
	return s.session(user, family.String(), refresh)
}

func (s *Service) session(user User, family string, refresh Secret) (Session, error) {
	access, expires, err := s.sign(user, family)
	if err != nil {
		return Session{}, err
	}
	return Session{Access: access, Refresh: refresh, ExpiresIn: expires.Sub(s.cfg.Now()).Round(time.Second), User: user}, nil
}

func (s *Service) storeRefresh(ctx context.Context, tx *sql.Tx, userID int64, family string, refresh Secret) error {
	now, sum := s.cfg.Now(), digestOf(refresh.text)
	_, err := tx.ExecContext(ctx, `INSERT INTO refresh_tokens (user_id, family, token_sha, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
		userID, family, sum[:], stamp(now), stamp(now.Add(s.cfg.RefreshTTL)))
	return err
}

// Refresh exchanges a refresh token for a new session; the old token is used up.
// One that was used before ends the whole session, because two parties hold it
// and one of them must be a thief. CodeUnauthenticated for anything but a
// token's first use in time by an active user.
func (s *Service) Refresh(ctx context.Context, token string) (Session, error) {
	if !wellFormed(refreshPrefix, token) {
		return Session{}, refused("The refresh token is not valid. Sign in again.")
	}
	// A first look without the write lock: an unknown token costs one query.
	row, err := s.refreshRow(ctx, s.cfg.Reader, token)
	if err != nil {
		return Session{}, err
	}
	user, err := s.users.UserByID(ctx, row.userID)
	if err != nil && events.CodeOf(err) != events.CodeNotFound {
		return Session{}, fmt.Errorf("refresh: look up user %d: %w", row.userID, err)
	}
	allowed := err == nil && user.Active
	next := newSecret(refreshPrefix)
	var refusal error
	err = s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		refusal = nil // Update may run this again
		row, err := s.refreshRow(ctx, tx, token)
		if err != nil {
			refusal = err
			return nil //nolint:nilerr // nothing to undo; the caller gets it as the refusal
		}
		if refusal = row.refusal(s.cfg.Now(), allowed); refusal != nil {
			return revokeFamily(ctx, tx, row.family)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET used_at = ? WHERE id = ?`, stamp(s.cfg.Now()), row.id); err != nil {
			return err
		}
		return s.storeRefresh(ctx, tx, row.userID, row.family, next)
	})
	switch {
	case err != nil:
		return Session{}, fmt.Errorf("refresh a session of user %d: %w", row.userID, err)
	case refusal != nil:
		s.Forget(row.userID)
		return Session{}, refusal
	}
	return s.session(user, row.family, next)
}

// refreshToken is a row of refresh_tokens.
type refreshToken struct {
	id, userID int64
	family     string
	expires    time.Time
	used       bool
	revoked    bool
}

// refusal returns why the token must not be exchanged, nil if it may.
func (r refreshToken) refusal(now time.Time, allowed bool) error {
	switch {
	case r.revoked:
		return refused("This session has ended. Sign in again.")
	case r.used:
		return refused("This refresh token was used before, so the session was ended for safety. Sign in again.")
	case !now.Before(r.expires):
		return refused("The refresh token has expired. Sign in again.")
	case !allowed:
		return refused("This account was deactivated. Ask an admin.")
	}
	return nil
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Service) refreshRow(ctx context.Context, q queryer, token string) (refreshToken, error) {
	var r refreshToken
	var expires string
	sum := digestOf(token)
	err := q.QueryRowContext(ctx, `SELECT id, user_id, family, expires_at, used_at IS NOT NULL, revoked FROM refresh_tokens WHERE token_sha = ?`, sum[:]).
		Scan(&r.id, &r.userID, &r.family, &expires, &r.used, &r.revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return r, refused("The refresh token is not known, or its session has ended. Sign in again.")
	}
	if err == nil {
		r.expires, err = parseStamp(expires)
	}
	if err != nil {
		return r, fmt.Errorf("read a refresh token: %w", err)
	}
	return r, nil
}

func revokeFamily(ctx context.Context, tx *sql.Tx, family string) error {
	_, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET revoked = 1 WHERE family = ? AND revoked = 0`, family)
	return err
}

// Logout ends the session that the refresh token belongs to, its access tokens
// included. A token that is not known is no error: that session is over.
func (s *Service) Logout(ctx context.Context, token string) error {
	if !wellFormed(refreshPrefix, token) {
		return nil
	}
	row, err := s.refreshRow(ctx, s.cfg.Reader, token)
	if events.CodeOf(err) == events.CodeUnauthenticated {
		return nil
	}
	if err != nil {
		return err
	}
	return s.endFamily(ctx, row.userID, row.family)
}

// EndSession ends the session of an access token. It does nothing for an API
// token: see RevokeToken.
func (s *Service) EndSession(ctx context.Context, p Principal) error {
	if p.session == "" {
		return nil
	}
	return s.endFamily(ctx, p.Actor.ID, p.session)
}

func (s *Service) endFamily(ctx context.Context, userID int64, family string) error {
	err := s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error { return revokeFamily(ctx, tx, family) })
	if err != nil {
		return fmt.Errorf("end a session of user %d: %w", userID, err)
	}
	s.Forget(userID)
	return nil
}

// RevokeSessions ends every session of the user, in tx. Call Forget after the
// commit.
func (s *Service) RevokeSessions(ctx context.Context, tx *sql.Tx, userID int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET revoked = 1 WHERE user_id = ? AND revoked = 0`, userID)
	if err != nil {
		return fmt.Errorf("revoke the sessions of user %d: %w", userID, err)
	}
	return nil
}

// RevokeUser takes password, sessions and API tokens from a user, in tx, which
// is that of the user_deactivated event. Call Forget after the commit.
func (s *Service) RevokeUser(ctx context.Context, tx *sql.Tx, userID int64) error {
	if err := s.RevokeSessions(ctx, tx, userID); err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM credentials WHERE user_id = ?`,
		`UPDATE api_tokens SET revoked = 1 WHERE user_id = ? AND revoked = 0`,
	} {
		if _, err := tx.ExecContext(ctx, statement, userID); err != nil {
			return fmt.Errorf("revoke the access of user %d: %w", userID, err)
		}
	}
	return nil
}

// ChangePassword replaces the principal's own password, ends all of its
// sessions and starts a new one. Guessing current counts as failed logins. An
// API token may not do this: CodeForbidden. CodeInvalid for a wrong current
// password or a bad new one.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next, address string) (Session, error) {
	if p.TokenID != 0 {
		return Session{}, events.Errorf(events.CodeForbidden, "An API token cannot change a password. Sign in with the password first.")
	}
	refund, err := s.chargeLogin(ctx, p.Actor.Name, address)
	if err != nil {
		return Session{}, err
	}
	user, err := s.users.UserByID(ctx, p.Actor.ID)
	if err != nil {
		return Session{}, fmt.Errorf("change the password of user %d: %w", p.Actor.ID, err)
	}
	match, err := s.checkPassword(ctx, user.ID, current)
	switch {
	case err != nil:
		return Session{}, fmt.Errorf("change a password: %w", err)
	case !match:
		return Session{}, &events.Error{
			Code: events.CodeInvalid, Message: "The current password is wrong.",
			Fields: map[string]string{"current_password": "is wrong"},
		}
	}
	refund()
	hash, err := s.HashPassword(ctx, next)
	if err != nil {
		return Session{}, err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return errors.Join(s.SetPassword(ctx, tx, user.ID, hash), s.RevokeSessions(ctx, tx, user.ID))
	})
	if err != nil {
		return Session{}, fmt.Errorf("change the password of user %d: %w", user.ID, err)
	}
	s.Forget(user.ID)
	return s.StartSession(ctx, user)
}

// DeleteExpired deletes refresh tokens that have expired and returns how many.
// Until then used ones are kept, to notice that one is used again.
func (s *Service) DeleteExpired(ctx context.Context) (deleted int64, err error) {
	err = s.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM refresh_tokens WHERE expires_at <= ?`, stamp(s.cfg.Now()))
		if err != nil {
			return err
		}
		deleted, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete expired refresh tokens: %w", err)
	}
	return deleted, nil
}

// EraseUser forgets everything about a user in tx, which is that of the
// redaction: password, sessions, API tokens and their names. Call Forget after
// the commit.
func (s *Service) EraseUser(ctx context.Context, tx *sql.Tx, userID int64) error {
	for _, table := range []string{"credentials", "refresh_tokens", "api_tokens"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE user_id = ?", userID); err != nil {
			return fmt.Errorf("erase user %d from %s: %w", userID, table, err)
		}
	}
	return nil
}
