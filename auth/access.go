package auth

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/agent-kanban/agent-kanban/events"
)

// issuer is also the audience: the server issues tokens for itself alone.
const issuer = "agent-kanban"

// claims are the content of an access token. Rights are not in it: they are
// looked up, so that they change at once.
type claims struct {
	Name    string           `json:"name"`
	Kind    events.ActorKind `json:"kind"`
	Session string           `json:"sid"`
	jwt.RegisteredClaims
}

// sign returns an access token of the session and when it expires.
func (s *Service) sign(user User, session string) (Secret, time.Time, error) {
	now := s.cfg.Now()
	expires := jwt.NewNumericDate(now.Add(s.cfg.AccessTTL))
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Name: user.Name, Kind: user.Kind, Session: session,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{issuer},
			Subject:  strconv.FormatInt(user.ID, 10),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: expires,
		},
	}).SignedString([]byte(s.cfg.Key.text))
	if err != nil {
		return Secret{}, time.Time{}, fmt.Errorf("sign an access token: %w", err)
	}
	return Secret{text}, expires.Time, nil
}

// accessPrincipal verifies the signature and the claims of an access token. The
// rest is for Check.
func (s *Service) accessPrincipal(bearer string) (Principal, error) {
	var c claims
	_, err := s.parser.ParseWithClaims(bearer, &c, func(*jwt.Token) (any, error) { return s.keys(), nil })
	switch {
	// An expired token also has to be properly signed to be called expired.
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, refused("The access token has expired. Use the refresh token, or sign in again.")
	case err != nil: // the library's error may quote the token
		return Principal{}, refused("The access token is not valid. Sign in again.")
	}
	id, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || id <= 0 || c.Session == "" {
		return Principal{}, refused("The access token is not valid. Sign in again.")
	}
	return Principal{
		Actor:   events.Actor{Kind: c.Kind, ID: id, Name: c.Name},
		Expires: c.ExpiresAt.Time, session: c.Session,
	}, nil
}

// keys are those that may have signed an access token that is good now.
func (s *Service) keys() any {
	if s.cfg.PreviousKey.IsZero() || !s.cfg.Now().Before(s.cfg.PreviousUntil) {
		return []byte(s.cfg.Key.text)
	}
	return jwt.VerificationKeySet{Keys: []jwt.VerificationKey{[]byte(s.cfg.Key.text), []byte(s.cfg.PreviousKey.text)}}
}
