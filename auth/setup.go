package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/agent-kanban/agent-kanban/events"
)

// SetupFile is the name of the setup token's file in the data directory.
const SetupFile = "setup-token"

// Setup guards the registration of the first admin. The token is in a file of
// the data directory: who can read it there owns the installation anyway.
type Setup struct {
	path string
	mu   sync.Mutex
	used bool
}

// NewSetup returns the setup of a data directory; it touches no file.
func NewSetup(dir string) *Setup { return &Setup{path: filepath.Join(dir, SetupFile)} }

// Token returns the token, creating the file (mode 0600) if there is none. Call
// it only while there is no user.
func (s *Setup) Token() (Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, err := readSecretFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Secret{}, fmt.Errorf("read the setup token: %w", err)
	case wellFormed(setupPrefix, token.text):
		return token, nil
	default: // cut short or edited: worthless, so a new one takes its place
		if err := os.Remove(s.path); err != nil {
			return Secret{}, fmt.Errorf("replace the setup token: %w", err)
		}
	}
	token = newSecret(setupPrefix)
	if err := createSecretFile(s.path, token); err != nil {
		return Secret{}, fmt.Errorf("keep the setup token: %w", err)
	}
	return token, nil
}

// Use runs register if token is the setup token, and deletes the token when
// register succeeds. Calls run one at a time, so that a token makes one admin.
// It returns CodeForbidden for a wrong or used token, and what register returns.
func (s *Setup) Use(token string, register func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, err := readSecretFile(s.path)
	switch {
	case s.used || errors.Is(err, fs.ErrNotExist):
		return events.Errorf(events.CodeForbidden, "The setup token was already used. Sign in, or ask an admin for an account.")
	case err != nil:
		return fmt.Errorf("read the setup token: %w", err)
	}
	got, sum := digestOf(token), digestOf(want.text)
	if !wellFormed(setupPrefix, want.text) || subtle.ConstantTimeCompare(got[:], sum[:]) != 1 {
		return events.Errorf(events.CodeForbidden, "This is not the setup token. Copy the one that the server printed when it started; it is also in the file %s of the data directory.", SetupFile)
	}
	if err := register(); err != nil {
		return err
	}
	// The admin exists, so a file that cannot be deleted is no failure of the
	// caller's: the flag makes it useless, and the next start discards it.
	s.used = true
	_ = s.remove()
	return nil
}

// Discard deletes the token, if any: once there is a user nobody needs it. A
// server that stopped between a registration and the deletion calls it at start.
func (s *Setup) Discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove()
}

func (s *Setup) remove() error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the setup token: %w", err)
	}
	return nil
}
