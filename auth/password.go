package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/agent-kanban/agent-kanban/events"
)

// MinPassword and MaxPassword bound a password, in characters.
const (
	MinPassword = 8
	MaxPassword = 128
)

// hashParams are OWASP's first choice for argon2id: 19 MiB, two passes, one
// lane. They are fixed because the library's default depends on the CPU count.
var hashParams = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobody is the hash of a password that nobody knows, of the same cost as every
// other: an unknown user takes as long to refuse as a wrong password.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$LBosrOK+Kt38e6ckQMiHyQ$imW3znTilDv64KZO311fJ4j3t/kUkN8HUlT6MSVaKHQ"

// CheckPasswordPolicy returns nil for a password that may be set, and
// CodeInvalid with the reason in Fields["password"] for any other.
func CheckPasswordPolicy(password string) error {
	var reason string
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		reason = "must be text in UTF-8"
	case strings.ContainsRune(password, 0):
		reason = "must not contain a NUL character"
	case n < MinPassword:
		reason = fmt.Sprintf("is too short: use at least %d characters", MinPassword)
	case n > MaxPassword:
		reason = fmt.Sprintf("is too long: use at most %d characters", MaxPassword)
	case strings.TrimSpace(password) == "":
		reason = "must not be blank"
	default:
		return nil
	}
	return &events.Error{
		Code: events.CodeInvalid, Message: "The password " + reason + ".",
		Fields: map[string]string{"password": reason},
	}
}

// HashPassword checks the policy and returns the argon2id hash. It costs some
// 20 ms and 19 MiB, so it runs before a transaction, never inside one; at most
// Config.HashConcurrency run at once. CodeInvalid, or CodeUnavailable when ctx
// ends in the queue.
func (s *Service) HashPassword(ctx context.Context, password string) (string, error) {
	if err := CheckPasswordPolicy(password); err != nil {
		return "", err
	}
	release, err := s.hashing(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	hash, err := argon2id.CreateHash(password, &hashParams)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// hashing takes one of the slots for argon2id; the queue for them is bounded,
// so that a flood of logins is refused instead of piling up.
func (s *Service) hashing(ctx context.Context) (release func(), err error) {
	busy := &events.Error{
		Code: events.CodeUnavailable, Message: "Too many people are signing in right now. Try again in a moment.",
		RetryAfter: time.Second,
	}
	if s.hashQueue.Add(1) > int64(cap(s.hashSlots)+s.cfg.HashQueue) {
		s.hashQueue.Add(-1)
		return nil, busy
	}
	select {
	case s.hashSlots <- struct{}{}:
		return func() { <-s.hashSlots; s.hashQueue.Add(-1) }, nil
	case <-ctx.Done():
		s.hashQueue.Add(-1)
		return nil, busy
	}
}

// SetPassword stores the hash of a user's password in tx, replacing any other.
// It leaves sessions alone: see RevokeSessions.
func (s *Service) SetPassword(ctx context.Context, tx *sql.Tx, userID int64, hash string) error {
	if _, _, _, err := argon2id.DecodeHash(hash); err != nil {
		return fmt.Errorf("set the password of user %d: want an argon2id hash: %w", userID, err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO credentials (user_id, password_hash, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at`,
		userID, hash, stamp(s.cfg.Now()))
	if err != nil {
		return fmt.Errorf("set the password of user %d: %w", userID, err)
	}
	return nil
}

// checkPassword reports whether the password is the user's. It takes the same
// time for userID 0, an account without a password, and a wrong password.
func (s *Service) checkPassword(ctx context.Context, userID int64, password string) (bool, error) {
	hash, known := nobody, false
	err := s.cfg.Reader.QueryRowContext(ctx, `SELECT password_hash FROM credentials WHERE user_id = ?`, userID).Scan(&hash)
	switch {
	case err == nil:
		known = true
	case errors.Is(err, sql.ErrNoRows):
		hash = nobody
	default:
		return false, fmt.Errorf("read the password of user %d: %w", userID, err)
	}
	release, err := s.hashing(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare the password of user %d: %w", userID, err)
	}
	return match && known, nil
}
