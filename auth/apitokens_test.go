package auth

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
)

func (f *fixture) issue(t *testing.T, id, user int64, change func(*events.TokenIssued)) Secret {
	t.Helper()
	issued := events.TokenIssued{TokenID: id, UserID: user, Name: "ci", Role: events.AgentRole, Boards: []int64{4, 9}}
	if change != nil {
		change(&issued)
	}
	secret := NewAPIToken()
	f.update(t, func(ctx context.Context, tx *sql.Tx) error { return f.StoreToken(ctx, tx, issued, secret) })
	return secret
}

func (f *fixture) revoke(t *testing.T, id int64) {
	t.Helper()
	f.update(t, func(ctx context.Context, tx *sql.Tx) error { return f.RevokeToken(ctx, tx, id) })
}

func TestAPIToken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	secret := f.issue(t, 7, robot, nil)
	p := f.mustAuthenticate(t, "api token", secret)
	want := Principal{
		Actor:   events.Actor{Kind: events.Agent, ID: robot, Name: "robot"},
		Scope:   events.Scope{Boards: []int64{4, 9}, Role: events.AgentRole},
		TokenID: 7,
	}
	if diff := cmp.Diff(want, p, cmp.AllowUnexported(Principal{})); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
	var stored int
	err := f.cfg.Reader.QueryRowContext(t.Context(), `SELECT count(*) FROM api_tokens WHERE instr(hex(token_sha) || prefix || name, ?) > 0`,
		strings.TrimPrefix(secret.text, apiPrefix)).Scan(&stored)
	if err != nil || stored != 0 {
		t.Errorf("the secret is in %d rows (%v), want none", stored, err)
	}
}

func TestAPITokenRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.mustRefuse(t, "unknown", NewAPIToken(), "not known")
	f.mustRefuse(t, "cut off", Secret{NewAPIToken().text[:30]}, "not known")
	f.mustRefuse(t, "not hex", Secret{apiPrefix + strings.Repeat("z", 64)}, "not known")

	secret := f.issue(t, 1, robot, nil)
	f.mustAuthenticate(t, "good", secret)
	f.revoke(t, 1)
	f.Forget(robot)
	f.mustRefuse(t, "revoked here", secret, "revoked")

	secret = f.issue(t, 2, robot, nil)
	f.mustAuthenticate(t, "good", secret)
	f.revoke(t, 2) // by another process: no Forget
	f.clock.advance(2 * time.Second)
	f.mustRefuse(t, "revoked elsewhere", secret, "revoked")

	soon := f.clock.now().Add(time.Second)
	secret = f.issue(t, 3, robot, func(i *events.TokenIssued) { i.ExpiresAt = &soon })
	f.mustAuthenticate(t, "good", secret)
	f.clock.advance(time.Second)
	f.mustRefuse(t, "expired, cached", secret, "expired")

	secret = f.issue(t, 4, robot, nil)
	f.mustAuthenticate(t, "good", secret)
	f.exec(t, `DELETE FROM api_tokens WHERE id = 4`)
	f.Forget(robot)
	f.mustRefuse(t, "deleted", secret, "not known")

	secret = f.issue(t, 5, bob, nil)
	f.users.change(bob, func(u *User) { u.Active = false })
	f.mustRefuse(t, "deactivated", secret, "deactivated")
	f.revoke(t, 404) // a token that has no row is no error
}

func TestDamagedTokenFailsClosed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	secret := f.issue(t, 1, robot, nil)
	for _, statement := range []string{
		`UPDATE api_tokens SET boards = 'null'`,
		`UPDATE api_tokens SET boards = 'oops'`,
		`UPDATE api_tokens SET role = 'root'`,
	} {
		err := f.db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		if err == nil {
			t.Errorf("%s: got no error, want the table to refuse it", statement)
		}
	}
	f.exec(t, `UPDATE api_tokens SET boards = '["x"]'`)
	if _, err := f.Authenticate(t.Context(), secret.text); events.CodeOf(err) != events.CodeInternal {
		t.Errorf("damaged boards: %v, want an internal error", err)
	}
}

func TestStoreTokenRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	taken := f.issue(t, 1, robot, nil)
	for name, row := range map[string]struct {
		issued events.TokenIssued
		secret Secret
	}{
		"foreign secret": {events.TokenIssued{TokenID: 2, UserID: robot, Role: events.AgentRole}, Secret{"hunter2"}},
		"no secret":      {events.TokenIssued{TokenID: 2, UserID: robot, Role: events.AgentRole}, Secret{}},
		"no id":          {events.TokenIssued{UserID: robot, Role: events.AgentRole}, NewAPIToken()},
		"no user":        {events.TokenIssued{TokenID: 2, Role: events.AgentRole}, NewAPIToken()},
		"unknown role":   {events.TokenIssued{TokenID: 2, UserID: robot, Role: "root"}, NewAPIToken()},
		"same id":        {events.TokenIssued{TokenID: 1, UserID: robot, Role: events.AgentRole}, NewAPIToken()},
		"same secret":    {events.TokenIssued{TokenID: 2, UserID: robot, Role: events.AgentRole}, taken},
	} {
		err := f.db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			return f.StoreToken(ctx, tx, row.issued, row.secret)
		})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the secret", name, err)
		}
	}
}

func TestTokenLists(t *testing.T) {
	t.Parallel()
	f := setup(t)
	expires := f.clock.now().Add(time.Hour)
	secret := f.issue(t, 1, robot, func(i *events.TokenIssued) { i.ExpiresAt = &expires })
	f.issue(t, 2, bob, func(i *events.TokenIssued) { i.Boards = nil })
	f.revoke(t, 2)
	now := f.clock.now()
	first := Token{
		ID: 1, UserID: robot, Name: "ci", Prefix: secret.text[:12], Role: events.AgentRole, Boards: []int64{4, 9},
		CreatedAt: now, ExpiresAt: &expires,
	}
	all, err := f.Tokens(t.Context(), 0)
	if err != nil || len(all) != 2 || all[0].ID != 2 || !all[0].Revoked || all[0].Boards == nil {
		t.Errorf("all tokens: %+v (%v), want 2 (revoked, no boards) and 1", all, err)
	}
	own, err := f.Tokens(t.Context(), robot)
	if diff := cmp.Diff([]Token{first}, own); diff != "" || err != nil {
		t.Errorf("tokens of the robot: %v (-want +got):\n%s", err, diff)
	}
	if none, err := f.Tokens(t.Context(), ada); err != nil || none == nil || len(none) != 0 {
		t.Errorf("tokens of ada: %v (%v), want an empty list", none, err)
	}
	_, err = f.TokenByID(t.Context(), 99)
	mustBe(t, "TokenByID", err, events.CodeNotFound, "no API token 99")
}

func TestLastUseIsWrittenInBatches(t *testing.T) {
	t.Parallel()
	f := setup(t)
	one, two := f.issue(t, 1, robot, nil), f.issue(t, 2, robot, nil)
	before := f.db.updates.Load()
	for range 5 {
		f.mustAuthenticate(t, "one", one)
		f.mustAuthenticate(t, "two", two)
		f.clock.advance(3 * time.Second)
	}
	f.db.broken.Store(true)
	if err := f.Flush(t.Context()); err == nil {
		t.Error("Flush to a broken disk: got nil")
	}
	f.db.broken.Store(false)
	noError(t, f.Flush(t.Context())) // kept from the failure
	noError(t, f.Flush(t.Context())) // nothing left
	if got := f.db.updates.Load() - before; got != 1 {
		t.Errorf("%d transactions for ten uses, want 1", got)
	}
	want := f.clock.now().Add(-3 * time.Second)
	for id := range int64(2) {
		token, err := f.TokenByID(t.Context(), id+1)
		if err != nil || token.LastUsedAt == nil || !token.LastUsedAt.Equal(want) {
			t.Errorf("token %d: last used %v (%v), want %v", id+1, token.LastUsedAt, err, want)
		}
	}
}

func TestAdministers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		p    Principal
		want bool
	}{
		"admin's session":        {Principal{Admin: true}, true},
		"admin's pm token":       {Principal{Admin: true, Scope: events.Scope{Role: events.PM}}, true},
		"admin's agent token":    {Principal{Admin: true, Scope: events.Scope{Role: events.AgentRole}}, false},
		"admin's token of one":   {Principal{Admin: true, Scope: events.Scope{Boards: []int64{1}}}, false},
		"somebody else":          {Principal{}, false},
		"somebody else, pm role": {Principal{Scope: events.Scope{Role: events.PM}}, false},
	} {
		if got := row.p.Administers(); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.MaxTickets = ticketsPerUser + 2 })
	session := f.start(t, bob)
	p := f.mustAuthenticate(t, "bob", session.Access)
	issue := func(p Principal) Secret {
		t.Helper()
		secret, err := f.IssueTicket(p)
		noError(t, err)
		return secret
	}
	ticket := issue(p)
	got, err := f.RedeemTicket(t.Context(), ticket.text)
	if diff := cmp.Diff(p, got, cmp.AllowUnexported(Principal{})); diff != "" || err != nil {
		t.Errorf("RedeemTicket: %v (-want +got):\n%s", err, diff)
	}
	_, err = f.RedeemTicket(t.Context(), ticket.text)
	mustBe(t, "second use", err, events.CodeUnauthenticated, "used before")
	_, err = f.RedeemTicket(t.Context(), "garbage")
	mustBe(t, "garbage", err, events.CodeUnauthenticated, "used before")

	ticket = issue(p)
	f.clock.advance(30 * time.Second)
	_, err = f.RedeemTicket(t.Context(), ticket.text)
	mustBe(t, "too old", err, events.CodeUnauthenticated, "too old")

	for range ticketsPerUser {
		issue(p)
	}
	_, err = f.IssueTicket(p)
	mustBe(t, "too many of one user", err, events.CodeRateLimited, "Too many")
	issue(Principal{Actor: events.Actor{ID: robot}})
	issue(Principal{Actor: events.Actor{ID: robot}})
	_, err = f.IssueTicket(Principal{Actor: events.Actor{ID: ada}})
	mustBe(t, "too many in all", err, events.CodeRateLimited, "Too many")

	f.clock.advance(30 * time.Second)
	ticket = issue(p) // the old ones made room
	noError(t, f.Logout(t.Context(), session.Refresh.text))
	_, err = f.RedeemTicket(t.Context(), ticket.text)
	mustBe(t, "after the logout", err, events.CodeUnauthenticated, "session has ended")
}
