package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// claims remembers the fences of the tickets that were claimed from here, so
// that heartbeat and done need not be told. The file is the user's own: a fence
// is no secret, but which tickets one works on is nobody else's business.
type claims struct{ dir string }

// rememberedClaim is one of them. Who is the server and the token that it was
// made with: another agent on this machine has claims of its own.
type rememberedClaim struct {
	Who       string    `json:"who"`
	TicketID  int64     `json:"ticket_id"`
	Key       string    `json:"key"`
	Fence     int64     `json:"fence"`
	ExpiresAt time.Time `json:"expires_at"`
}

// claimsKept is how long a claim is remembered past its lease, for the refusal
// that its late holder should get.
const claimsKept = 7 * 24 * time.Hour

func openClaims() (*claims, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, &hinted{fmt.Errorf("there is no place to remember claims: %w", err), "name the claim with --fence, or set HOME"}
	}
	return &claims{filepath.Join(dir, "kanban")}, nil
}

func (s *claims) path() string { return filepath.Join(s.dir, "claims.json") }

// who tells the claims of one server and token from those of others, without
// keeping the token.
func who(url, token string) string {
	sum := sha256.Sum256([]byte(token))
	return url + " " + hex.EncodeToString(sum[:6])
}

func (s *claims) load() ([]rememberedClaim, error) {
	text, err := os.ReadFile(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []rememberedClaim
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, &hinted{fmt.Errorf("read the remembered claims: %w", err), "name the claim with --fence, or delete " + s.path()}
	}
	return list, nil
}

func (c *rememberedClaim) is(who string, ticket commands.Ref) bool {
	return c.Who == who && (strings.EqualFold(c.Key, string(ticket)) || strconv.FormatInt(c.TicketID, 10) == string(ticket))
}

// fence returns that of the claim of a ticket, 0 if none is remembered.
func (s *claims) fence(who string, ticket commands.Ref) (int64, error) {
	list, err := s.load()
	for i := range list {
		if list[i].is(who, ticket) {
			return list[i].Fence, nil
		}
	}
	return 0, err
}

// change rewrites the file while no other process does: agents on one machine
// share it.
func (s *claims) change(ctx context.Context, now time.Time, change func([]rememberedClaim) []rememberedClaim) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("remember the claim: %w", err)
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return fmt.Errorf("remember the claim: %w", err)
	}
	list, err := s.load()
	if err == nil {
		kept := []rememberedClaim{}
		for _, c := range change(list) {
			if now.Before(c.ExpiresAt.Add(claimsKept)) {
				kept = append(kept, c)
			}
		}
		err = replaceFile(s.path(), func(w io.Writer) error { return json.NewEncoder(w).Encode(kept) })
	}
	return errors.Join(err, lock.Release())
}

// lock waits for other processes, which have the file for a moment only.
func (s *claims) lock(ctx context.Context) (*sqlstore.FileLock, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		lock, err := sqlstore.Lock(s.dir)
		var busy *sqlstore.LockedError
		if !errors.As(err, &busy) || wait > time.Second {
			return lock, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// caller is a client and what is remembered of its claims.
type caller struct {
	*client.Client
	app    *app
	claims *claims
	who    string
}

// connectToWork is connect for commands that hold tickets.
func (a *app) connectToWork() (*caller, error) {
	c, token, err := a.dial()
	if err != nil {
		return nil, err
	}
	known, err := openClaims()
	if err != nil {
		known = nil // only a convenience is lost
	}
	return &caller{c, a, known, who(c.URL(), token)}, nil
}

// fence is that of the ticket's claim: the one that was given, else the one that
// is remembered, else 0, with which the server judges by who is asking.
func (c *caller) fence(ticket commands.Ref, given int64) (int64, error) {
	if given != 0 || c.claims == nil {
		return given, nil
	}
	return c.claims.fence(c.who, ticket)
}

// remember keeps the claim. That it cannot be kept is no failure of the claim.
func (c *caller) remember(ctx context.Context, t *readmodel.Ticket, l *readmodel.Lease) {
	if c.claims == nil || t == nil || l == nil {
		return
	}
	err := c.claims.change(ctx, c.app.now(), func(list []rememberedClaim) []rememberedClaim {
		entry := rememberedClaim{Who: c.who, TicketID: t.ID, Key: t.Key, Fence: l.Fence, ExpiresAt: l.ExpiresAt}
		for i := range list {
			if list[i].is(c.who, commands.Ref(t.Key)) {
				list[i] = entry
				return list
			}
		}
		return append(list, entry)
	})
	if err != nil {
		c.app.note("%v: give --fence %d from now on", err, l.Fence)
	}
}

// forget drops the claim of a ticket, where one is remembered.
func (c *caller) forget(ctx context.Context, ticket commands.Ref) {
	if c.claims == nil {
		return
	}
	if fence, err := c.claims.fence(c.who, ticket); err != nil || fence == 0 {
		return
	}
	err := c.claims.change(ctx, c.app.now(), func(list []rememberedClaim) []rememberedClaim {
		kept := list[:0]
		for _, have := range list {
			if !have.is(c.who, ticket) {
				kept = append(kept, have)
			}
		}
		return kept
	})
	if err != nil {
		c.app.note("%v", err)
	}
}
