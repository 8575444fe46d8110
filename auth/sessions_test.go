package auth

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.givePassword(t, bob)
	session, err := f.Login(t.Context(), "bob", password, "192.0.2.1:1234")
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	if session.ExpiresIn != 30*time.Minute || session.User.ID != bob {
		t.Errorf("session of %v for %v, want bob for 30m", session.User, session.ExpiresIn)
	}
	p := f.mustAuthenticate(t, "access token", session.Access)
	want := events.Actor{Kind: events.Human, ID: bob, Name: "bob"}
	if p.Actor != want || p.Admin || p.TokenID != 0 || !p.Expires.Equal(f.clock.now().Truncate(time.Second).Add(30*time.Minute)) {
		t.Errorf("principal %+v, want %v without rights, for 30m", p, want)
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.givePassword(t, bob)
	f.givePassword(t, ada)
	f.users.change(ada, func(u *User) { u.Active = false })
	for name, row := range map[string]struct{ user, password string }{
		"wrong password":      {"bob", "correct horse"},
		"unknown user":        {"eve", password},
		"without a password":  {"robot", password},
		"deactivated":         {"ada", password},
		"the dummy's empty":   {"eve", ""},
		"absurdly long":       {"bob", strings.Repeat("x", 1<<20)},
		"nul in the name":     {"bob\x00", password},
		"absurdly long names": {strings.Repeat("x", 1<<20), password},
	} {
		_, err := f.Login(t.Context(), row.user, row.password, "192.0.2.1")
		// One answer for all: it must not tell which names exist.
		if mustBe(t, name, err, events.CodeUnauthenticated, ""); err == nil || err.Error() != badLogin().Message {
			t.Errorf("%s: %v, want %q", name, err, badLogin().Message)
		}
	}
	f.users.change(ada, func(u *User) { u.Active = true })
	if _, err := f.Login(t.Context(), "ada", password, "192.0.2.1"); err != nil {
		t.Errorf("reactivated: %v", err)
	}
}

func forge(t *testing.T, method jwt.SigningMethod, key any, change func(*claims)) Secret {
	t.Helper()
	now := time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)
	c := claims{Name: "ada", Kind: events.Human, Session: "s", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{issuer}, Subject: "1", ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
	}}
	change(&c)
	text, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return Secret{text}
}

func TestAuthenticateRefusesForgedAccessTokens(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := f.start(t, ada)
	p := f.mustAuthenticate(t, "the real one", session.Access)
	same := func(c *claims) { c.Session = p.session }
	f.mustAuthenticate(t, "one signed with our key", forge(t, jwt.SigningMethodHS256, []byte(testKey), same))
	with := func(change func(*claims)) Secret {
		return forge(t, jwt.SigningMethodHS256, []byte(testKey), func(c *claims) { same(c); change(c) })
	}
	for name, token := range map[string]Secret{
		"other key":      forge(t, jwt.SigningMethodHS256, []byte(strings.Repeat("k", 32)), same),
		"alg none":       forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"alg HS512":      forge(t, jwt.SigningMethodHS512, []byte(testKey), same),
		"no expiry":      with(func(c *claims) { c.ExpiresAt = nil }),
		"other issuer":   with(func(c *claims) { c.Issuer = "elsewhere" }),
		"other audience": with(func(c *claims) { c.Audience = jwt.ClaimStrings{"elsewhere"} }),
		"no subject":     with(func(c *claims) { c.Subject = "" }),
		"negative user":  with(func(c *claims) { c.Subject = "-1" }),
		"no session":     with(func(c *claims) { c.Session = "" }),
		"cut off":        {session.Access.text[:len(session.Access.text)-2]},
		"words":          {"hello"},
		"refresh token":  session.Refresh,
	} {
		f.mustRefuse(t, name, token, "not valid. Sign in")
	}
	f.mustRefuse(t, "nothing", Secret{}, "not signed in")
	f.mustRefuse(t, "a novel", Secret{strings.Repeat("x", maxBearer+1)}, "too long")
	f.mustRefuse(t, "unknown session", with(func(c *claims) { c.Session = "another" }), "session has ended")
	f.mustRefuse(t, "unknown user", with(func(c *claims) { c.Subject = "99" }), "session has ended")
}

func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := f.start(t, ada)
	f.mustAuthenticate(t, "fresh", session.Access) // and now it is cached
	f.clock.advance(30*time.Minute - time.Second)
	f.mustAuthenticate(t, "just before its end", session.Access)
	f.clock.advance(time.Second)
	f.mustRefuse(t, "expired, cached a second ago", session.Access, "has expired")
}

func TestVerifiedTokensAreBelievedForAWhile(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := f.start(t, ada)
	f.mustAuthenticate(t, "first", session.Access)
	before := f.users.lookups.Load()
	for range 100 {
		f.mustAuthenticate(t, "again", session.Access)
	}
	if got := f.users.lookups.Load() - before; got != 0 {
		t.Errorf("%d look-ups for 100 repeats, want none", got)
	}
	f.users.change(ada, func(u *User) { u.Admin = false })
	f.clock.advance(2 * time.Second)
	if p := f.mustAuthenticate(t, "after the recheck time", session.Access); p.Admin {
		t.Error("still an admin after the recheck time, want the new rights")
	}
	f.users.change(ada, func(u *User) { u.Active = false })
	f.mustAuthenticate(t, "not told yet", session.Access)
	f.Forget(ada)
	f.mustRefuse(t, "deactivated and forgotten", session.Access, "deactivated")
	f.users.change(ada, func(u *User) { u.Active = true })
	f.mustAuthenticate(t, "active again", session.Access)
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.start(t, bob)
	second, err := f.Refresh(t.Context(), first.Refresh.Reveal())
	if err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	if second.Refresh == first.Refresh {
		t.Error("Refresh returned the same refresh token")
	}
	f.mustAuthenticate(t, "new access token", second.Access)
	f.mustAuthenticate(t, "old access token", first.Access)

	_, err = f.Refresh(t.Context(), first.Refresh.Reveal())
	mustBe(t, "reuse", err, events.CodeUnauthenticated, "used before")
	_, err = f.Refresh(t.Context(), second.Refresh.Reveal())
	mustBe(t, "the family after a reuse", err, events.CodeUnauthenticated, "session has ended")
	f.mustRefuse(t, "access token after a reuse", second.Access, "session has ended")
}

func TestRefreshRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, row := range map[string]struct {
		spoil func(t *testing.T, s Session) (token string)
		want  string
	}{
		"garbage":      {func(*testing.T, Session) string { return "garbage" }, "not valid"},
		"access token": {func(_ *testing.T, s Session) string { return s.Access.text }, "not valid"},
		"unknown":      {func(*testing.T, Session) string { return newSecret(refreshPrefix).text }, "not known"},
	} {
		_, err := f.Refresh(t.Context(), row.spoil(t, f.start(t, bob)))
		mustBe(t, name, err, events.CodeUnauthenticated, row.want)
	}

	gone := f.start(t, robot)
	f.users.change(robot, func(u *User) { u.Active = false })
	_, err := f.Refresh(t.Context(), gone.Refresh.text)
	mustBe(t, "deactivated user", err, events.CodeUnauthenticated, "deactivated")
	f.users.change(robot, func(u *User) { u.Active = true })
	_, err = f.Refresh(t.Context(), gone.Refresh.text)
	mustBe(t, "session of a user who was deactivated", err, events.CodeUnauthenticated, "session has ended")

	late := f.start(t, bob)
	f.clock.advance(7 * 24 * time.Hour)
	_, err = f.Refresh(t.Context(), late.Refresh.text)
	mustBe(t, "expired", err, events.CodeUnauthenticated, "expired")
}

func TestConcurrentRefreshHasOneWinner(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := f.start(t, bob)
	const callers = 12
	sessions, errs := make([]Session, callers), make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { sessions[i], errs[i] = f.Refresh(t.Context(), session.Refresh.text) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("callers %d and %d both got a session", winner, i)
		case err == nil:
			winner = i
		default:
			mustBe(t, "loser", err, events.CodeUnauthenticated, "Sign in again")
		}
	}
	if winner < 0 {
		t.Fatal("nobody got a session")
	}
	_, err := f.Refresh(t.Context(), sessions[winner].Refresh.text)
	mustBe(t, "the winner's token after the reuse", err, events.CodeUnauthenticated, "session has ended")
	f.mustRefuse(t, "the winner's access token", sessions[winner].Access, "session has ended")
}

func TestEndOfSessions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, end := range map[string]func(t *testing.T, s Session){
		"logout": func(t *testing.T, s Session) { noError(t, f.Logout(t.Context(), s.Refresh.text)) },
		"end session": func(t *testing.T, s Session) {
			noError(t, f.EndSession(t.Context(), f.mustAuthenticate(t, "bob", s.Access)))
		},
		"revoke all": func(t *testing.T, _ Session) {
			f.update(t, func(ctx context.Context, tx *sql.Tx) error { return f.RevokeSessions(ctx, tx, bob) })
			f.Forget(bob)
		},
		// The incident response of the operations guide, from another process.
		"delete rows": func(t *testing.T, _ Session) {
			f.exec(t, `DELETE FROM refresh_tokens;`)
			f.clock.advance(2 * time.Second)
		},
	} {
		session := f.start(t, bob)
		f.mustAuthenticate(t, "before "+name, session.Access)
		end(t, session)
		f.mustRefuse(t, "after "+name, session.Access, "session has ended")
		_, err := f.Refresh(t.Context(), session.Refresh.text)
		mustBe(t, "refresh after "+name, err, events.CodeUnauthenticated, "Sign in again")
	}
	noError(t, f.Logout(t.Context(), newSecret(refreshPrefix).text))
	noError(t, f.Logout(t.Context(), "garbage"))
	noError(t, f.EndSession(t.Context(), Principal{TokenID: 1}))
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestLogoutLeavesOtherSessions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	phone, desk := f.start(t, bob), f.start(t, bob)
	noError(t, f.Logout(t.Context(), phone.Refresh.text))
	f.mustRefuse(t, "the phone", phone.Access, "session has ended")
	f.mustAuthenticate(t, "the desk", desk.Access)
}

func TestOperatorsAuditDeletesByText(t *testing.T) {
	t.Parallel()
	f := setup(t) // it is 2025-08-20
	f.clock.advance(-8 * 24 * time.Hour)
	old := f.start(t, bob)
	f.clock.advance(8 * 24 * time.Hour)
	recent := f.start(t, bob)
	var created, expires string
	err := f.cfg.Reader.QueryRowContext(t.Context(), `SELECT created_at, expires_at FROM refresh_tokens ORDER BY id DESC`).Scan(&created, &expires)
	if err != nil || created != "2025-08-20 12:00:00.123456" || expires != "2025-08-27 12:00:00.123456" {
		t.Errorf("stored times %q, %q (%v), want text in UTC", created, expires, err)
	}
	f.exec(t, `DELETE FROM refresh_tokens WHERE created_at < '2025-08-13 12:00:00.123456'`)
	f.mustRefuse(t, "the old session", old.Access, "")
	if _, err := f.Refresh(t.Context(), recent.Refresh.text); err != nil {
		t.Errorf("the recent session: %v", err)
	}
}

func TestDeleteExpired(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t, bob)
	f.clock.advance(6 * 24 * time.Hour)
	kept := f.start(t, bob)
	f.clock.advance(24 * time.Hour)
	if n, err := f.DeleteExpired(t.Context()); n != 1 || err != nil {
		t.Errorf("DeleteExpired: %d, %v, want 1", n, err)
	}
	if _, err := f.Refresh(t.Context(), kept.Refresh.text); err != nil {
		t.Errorf("the session that had not expired: %v", err)
	}
}

func TestRevokeUserEndsAllAccess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.givePassword(t, bob)
	session, err := f.Login(t.Context(), "bob", password, "192.0.2.1")
	noError(t, err)
	secret := f.issue(t, 5, bob, nil)
	f.mustAuthenticate(t, "api token", secret)
	// The read model has not heard of it: the secrets alone must refuse.
	f.update(t, func(ctx context.Context, tx *sql.Tx) error { return f.RevokeUser(ctx, tx, bob) })
	f.Forget(bob)
	f.mustRefuse(t, "session", session.Access, "session has ended")
	f.mustRefuse(t, "api token", secret, "revoked")
	_, err = f.Login(t.Context(), "bob", password, "192.0.2.1")
	mustBe(t, "login", err, events.CodeUnauthenticated, "wrong")
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.givePassword(t, bob)
	old, err := f.Login(t.Context(), "bob", password, "192.0.2.1")
	noError(t, err)
	p := f.mustAuthenticate(t, "bob", old.Access)

	_, err = f.ChangePassword(t.Context(), p, "wrong password", "another good one", "192.0.2.1")
	mustBe(t, "wrong current password", err, events.CodeInvalid, "current password is wrong")
	_, err = f.ChangePassword(t.Context(), p, password, "short", "192.0.2.1")
	mustBe(t, "short new password", err, events.CodeInvalid, "too short")
	api := p
	api.TokenID = 1
	_, err = f.ChangePassword(t.Context(), api, password, "another good one", "192.0.2.1")
	mustBe(t, "by API token", err, events.CodeForbidden, "API token")
	f.mustAuthenticate(t, "after refusals", old.Access)

	session, err := f.ChangePassword(t.Context(), p, password, "another good one", "192.0.2.1")
	noError(t, err)
	f.mustAuthenticate(t, "the new session", session.Access)
	f.mustRefuse(t, "the old session", old.Access, "session has ended")
	_, err = f.Login(t.Context(), "bob", password, "192.0.2.1")
	mustBe(t, "login with the old password", err, events.CodeUnauthenticated, "wrong")
	_, err = f.Login(t.Context(), "bob", "another good one", "192.0.2.1")
	noError(t, err)
}

func BenchmarkAuthenticate(b *testing.B) {
	f := setup(b)
	user, err := f.users.UserByID(b.Context(), ada)
	if err != nil {
		b.Fatal(err)
	}
	session, err := f.StartSession(b.Context(), user)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Authenticate(b.Context(), session.Access.text); err != nil {
			b.Fatal(err)
		}
	}
}
