package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Principal is who is asking, proven by a credential.
type Principal struct {
	Actor events.Actor
	// Admin is the user's global flag. On a board it is an argument of
	// events.EffectiveRole together with Scope; for what is not about a board
	// ask Administers instead, which a narrowed API token fails.
	Admin   bool
	Scope   events.Scope
	TokenID int64     // API token that was used, 0 for a session
	Expires time.Time // when the credential ends, zero = never

	session string // family of the refresh token that an access token came with
}

// Administers reports whether the principal may do what only admins may and
// what belongs to no board: an API token limited to boards or to a lower role
// does not inherit that from its owner.
func (p Principal) Administers() bool {
	return p.Admin && len(p.Scope.Boards) == 0 && (p.Scope.Role == events.NoRole || p.Scope.Role == events.PM)
}

// Lasting returns the principal for a connection that outlives a request. An
// access token is short only so that its session is asked again, which the
// connection does with Check; an API token's end stays the end.
func (p Principal) Lasting() Principal {
	if p.session != "" {
		p.Expires = time.Time{}
	}
	return p
}

// verified is a credential that was found good at checked.
type verified struct {
	principal Principal
	checked   time.Time
	epoch     uint64
}

// epochSlots is a power of two. Users share slots, which costs a few needless
// checks after a Forget and keeps the table small however many users there are.
const epochSlots = 1024

func (s *Service) epoch(userID int64) uint64 {
	return s.epochs[uint64(userID)%epochSlots].Load()
}

// Forget makes every credential of the user be checked against the database
// before it is believed again. Call it after committing what ends access:
// DeactivateUser, RevokeToken, RevokeUser, a changed admin flag.
func (s *Service) Forget(userID int64) {
	s.epochs[uint64(userID)%epochSlots].Add(1)
}

// Authenticate returns the principal of an access token or an API token, given
// without the "Bearer " before it. It returns CodeUnauthenticated, with what to
// do next, for anything that is not good now.
func (s *Service) Authenticate(ctx context.Context, bearer string) (Principal, error) {
	switch {
	case bearer == "":
		return Principal{}, refused("You are not signed in. Send an access token or an API token in the Authorization header.")
	case len(bearer) > maxBearer:
		return Principal{}, refused("The token is not valid: it is far too long.")
	}
	sum, now := digestOf(bearer), s.cfg.Now()
	v, known := s.verified.GetIfPresent(sum)
	if known && s.fresh(v, now) {
		return v.principal, nil
	}
	p, err := s.verify(ctx, bearer, sum, now)
	if err != nil {
		if known {
			s.verified.Invalidate(sum)
		}
		return Principal{}, err
	}
	return p, nil
}

// fresh reports whether v may be believed without a query.
func (s *Service) fresh(v *verified, now time.Time) bool {
	age := now.Sub(v.checked)
	return age >= 0 && age < s.cfg.Recheck &&
		v.epoch == s.epoch(v.principal.Actor.ID) &&
		(v.principal.Expires.IsZero() || now.Before(v.principal.Expires))
}

func (s *Service) verify(ctx context.Context, bearer string, sum digest, now time.Time) (p Principal, err error) {
	if strings.HasPrefix(bearer, apiPrefix) {
		p, err = s.apiPrincipal(ctx, bearer, sum, now)
	} else {
		p, err = s.accessPrincipal(bearer)
	}
	if err != nil {
		return Principal{}, err
	}
	// Read before the checks: a Forget that comes between them and the cache
	// leaves an old epoch there, so that the next use checks again.
	epoch := s.epoch(p.Actor.ID)
	if p, err = s.Check(ctx, p); err != nil {
		return Principal{}, err
	}
	s.verified.Set(sum, &verified{principal: p, checked: now, epoch: epoch})
	if p.TokenID != 0 {
		s.uses.note(p.TokenID, now)
	}
	return p, nil
}

// Check reports whether a principal may still act, and returns it with its
// current admin flag: the credential has not expired, its session or token is
// not revoked, its user is active. It is meant for connections that outlive a
// request. CodeUnauthenticated where it may not.
func (s *Service) Check(ctx context.Context, p Principal) (Principal, error) {
	if !p.Expires.IsZero() && !s.cfg.Now().Before(p.Expires) {
		return Principal{}, refused("Your access has expired. Sign in again.")
	}
	live, err := s.live(ctx, p)
	switch {
	case err != nil:
		return Principal{}, err
	case !live && p.TokenID != 0:
		return Principal{}, refused("This API token was revoked. Ask for a new one.")
	case !live:
		return Principal{}, refused("This session has ended. Sign in again.")
	}
	user, err := s.users.UserByID(ctx, p.Actor.ID)
	switch {
	case events.CodeOf(err) == events.CodeNotFound:
		return Principal{}, refused("This account does not exist any more.")
	case err != nil:
		return Principal{}, fmt.Errorf("look up user %d: %w", p.Actor.ID, err)
	case !user.Active:
		return Principal{}, refused("This account was deactivated. Ask an admin.")
	}
	p.Actor = user.Actor()
	p.Admin = user.Admin
	return p, nil
}

// live asks the database whether the session or token still stands.
func (s *Service) live(ctx context.Context, p Principal) (bool, error) {
	// The user as well: whoever got hold of the key could otherwise sign a token
	// for anybody with a session of their own.
	query, args := `SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE family = ? AND user_id = ? AND revoked = 0)`, []any{p.session, p.Actor.ID}
	if p.TokenID != 0 {
		query, args = `SELECT EXISTS (SELECT 1 FROM api_tokens WHERE id = ? AND revoked = 0)`, []any{p.TokenID}
	}
	var live bool
	if err := s.cfg.Reader.QueryRowContext(ctx, query, args...).Scan(&live); err != nil {
		return false, fmt.Errorf("check the credential of user %d: %w", p.Actor.ID, err)
	}
	return live, nil
}

// Actor returns the user as it appears in events.
func (u User) Actor() events.Actor { return events.Actor{Kind: u.Kind, ID: u.ID, Name: u.Name} }
