package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// Prefixes tell what a leaked secret is for, and let scanners find it.
const (
	apiPrefix     = "akb_" // API token
	refreshPrefix = "akr_" // refresh token
	ticketPrefix  = "akw_" // WebSocket ticket
	setupPrefix   = "aks_" // setup token
)

// secretBytes is the length of the random part: 256 bits, in hex.
const secretBytes = 32

// maxBearer bounds what is hashed or parsed: our longest token is far shorter.
const maxBearer = 4096

// redacted is what a Secret prints as.
const redacted = "[redacted]"

// Secret is a token or key that must reach one reader and no log. Every way of
// printing or encoding it yields "[redacted]"; Reveal is the one way out.
type Secret struct{ text string }

var (
	_ fmt.Formatter  = Secret{}
	_ fmt.Stringer   = Secret{}
	_ slog.LogValuer = Secret{}
)

// SecretOf returns text as a Secret: an address with a key in it, a signing
// secret read from its table.
func SecretOf(text string) Secret { return Secret{text} }

// Reveal returns the secret itself, for the reply that hands it out.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format prints "[redacted]" for every verb, %#v and %x included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", which encoding/json uses too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// newSecret returns prefix and 32 random bytes in hex.
func newSecret(prefix string) Secret {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return Secret{prefix + hex.EncodeToString(b[:])}
}

// wellFormed reports whether text could be a secret with the prefix, so that
// garbage costs no query.
func wellFormed(prefix, text string) bool {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok || len(digits) != 2*secretBytes {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// digest is what is stored of a secret. A plain SHA-256 suffices because the
// input is 256 random bits: there is nothing to guess.
type digest = [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// Blind keys the sum of a request that has a password in it, before the sum is
// kept: a plain one could be guessed far faster than the password's own hash.
func (s *Service) Blind(sum [sha256.Size]byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, []byte(s.cfg.Key.text))
	mac.Write([]byte("request sum\x00"))
	mac.Write(sum[:])
	return [sha256.Size]byte(mac.Sum(nil))
}
